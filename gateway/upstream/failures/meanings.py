"""Meanings: what the provider's refusals are in gRPC's terms.

A code in the provider's error body says more than the HTTP status and goes before it. The codes
are those of the provider's public reference ("API error codes") and of the error examples in its
API description of the call commands, conferences and queues.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grpc import StatusCode

from gateway.upstream.failures.errorbody import KEY_REJECTED, ProviderError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a kind of answer means: the gRPC code, and the reason in ErrorInfo."""

    code: StatusCode
    reason: str


INVALID_REQUEST = Outcome(StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
INVALID_ID = Outcome(StatusCode.INVALID_ARGUMENT, "INVALID_ID")
STATE_CONFLICT = Outcome(StatusCode.FAILED_PRECONDITION, "INVALID_STATE")
RATE_LIMITED = Outcome(StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
UNEXPECTED_STATUS = Outcome(StatusCode.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS")

# By provider error code, where it says more than the HTTP status.
BY_PROVIDER_CODE: Mapping[str, Outcome] = {
    "10004": Outcome(StatusCode.INVALID_ARGUMENT, "MISSING_PARAMETER"),
    "10005": Outcome(StatusCode.NOT_FOUND, "NOT_FOUND"),
    "10006": INVALID_ID,
    KEY_REJECTED: Outcome(StatusCode.INTERNAL, "UPSTREAM_CREDENTIALS_REJECTED"),
    "10010": Outcome(StatusCode.PERMISSION_DENIED, "NOT_AUTHORIZED"),
    "10011": RATE_LIMITED,
    "10012": Outcome(StatusCode.ALREADY_EXISTS, "DUPLICATE"),
    "10015": INVALID_REQUEST,
    "10016": INVALID_REQUEST,  # a phone number in the wrong form
    "10021": Outcome(StatusCode.FAILED_PRECONDITION, "IN_USE"),
    "10022": INVALID_ID,  # one or more ids
    "10032": INVALID_REQUEST,  # not one of the values there are
    "10033": INVALID_REQUEST,  # outside of the range
    "90015": INVALID_ID,  # the call_control_id was not valid
    "90018": STATE_CONFLICT,  # the call has ended
    "90019": STATE_CONFLICT,  # the conference has ended
    "90020": STATE_CONFLICT,  # recording before there is audio
    "90031": STATE_CONFLICT,  # the call is not forked
    "90032": STATE_CONFLICT,  # the conference is full
    "90033": STATE_CONFLICT,  # unable to execute, such as for a name that is taken
    "90034": STATE_CONFLICT,  # the call has not been answered
    "90036": STATE_CONFLICT,  # the queue is full
    "90038": STATE_CONFLICT,  # the call is in the queue already
    "90045": STATE_CONFLICT,  # media streaming is in use
    "90054": STATE_CONFLICT,  # transcription runs already
    "90061": STATE_CONFLICT,  # an assistant runs already
}

BY_STATUS: Mapping[int, Outcome] = {
    400: INVALID_REQUEST,
    401: Outcome(StatusCode.INTERNAL, "UPSTREAM_CREDENTIALS_REJECTED"),
    402: Outcome(StatusCode.FAILED_PRECONDITION, "PAYMENT_REQUIRED"),
    403: Outcome(StatusCode.PERMISSION_DENIED, "NOT_AUTHORIZED"),
    404: Outcome(StatusCode.NOT_FOUND, "NOT_FOUND"),
    409: Outcome(StatusCode.ABORTED, "CONFLICT"),
    410: Outcome(StatusCode.NOT_FOUND, "NOT_FOUND"),
    412: STATE_CONFLICT,
    413: INVALID_REQUEST,
    414: INVALID_REQUEST,
    422: INVALID_REQUEST,
    429: RATE_LIMITED,
}

# Statuses that mean the same whatever code comes with them, but for one about the key.
_FIRM_STATUSES = frozenset({401, 403, 429})

# Call control's own range. What is not documented in it is about a state, unless the provider
# points at a field of the request or the status says what it is.
_CALL_CONTROL_CODE = re.compile(r"90\d{3}")
_OPEN_STATUSES = frozenset({400, 409, 412, 422})


def decisive(errors: Sequence[ProviderError]) -> ProviderError:
    """Return the entry that says what an error body means: the first whose code is known.

    One about the gateway's key goes before all others: the caller is not at fault then.
    """
    for error in errors:
        if error.code == KEY_REJECTED:
            return error
    known = (error for error in errors if error.code in BY_PROVIDER_CODE)
    return next(known, errors[0] if errors else ProviderError())


def meaning_of(status: int, error: ProviderError) -> Outcome:
    """Return what a refusal means, by its HTTP status and the entry that is decisive."""
    by_status = BY_STATUS.get(status, UNEXPECTED_STATUS)
    if status in _FIRM_STATUSES and error.code != KEY_REJECTED:
        return by_status
    outcome = BY_PROVIDER_CODE.get(error.code)
    if outcome is RATE_LIMITED and error.pointer:
        # The provider uses 10011 for some fields' values, too, and points at them.
        return by_status
    if outcome is not None:
        return outcome
    if _CALL_CONTROL_CODE.fullmatch(error.code) and status in _OPEN_STATUSES:
        return INVALID_REQUEST if error.pointer else STATE_CONFLICT
    return by_status
