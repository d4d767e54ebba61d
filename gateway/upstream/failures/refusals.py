"""Refusals: what the provider means by them.

A code in the provider's error body says more than the HTTP status and goes before it. The codes
are those of the provider's public reference ("API error codes") and of the error examples in its
API description of the call commands, conferences and queues.
"""

import re
from collections.abc import Mapping, Sequence

from gateway.upstream.errors import Reason
from gateway.upstream.failures.errorbody import KEY_REJECTED, ProviderError

# By provider error code, where it says more than the HTTP status.
BY_PROVIDER_CODE: Mapping[str, Reason] = {
    "10004": Reason.MISSING_PARAMETER,
    "10005": Reason.NOT_FOUND,
    "10006": Reason.INVALID_ID,
    KEY_REJECTED: Reason.UPSTREAM_CREDENTIALS_REJECTED,
    "10010": Reason.NOT_AUTHORIZED,
    "10011": Reason.RATE_LIMITED,
    "10012": Reason.DUPLICATE,
    "10015": Reason.INVALID_REQUEST,
    "10016": Reason.INVALID_REQUEST,  # a phone number in the wrong form
    "10021": Reason.IN_USE,
    "10022": Reason.INVALID_ID,  # one or more ids
    "10032": Reason.INVALID_REQUEST,  # not one of the values there are
    "10033": Reason.INVALID_REQUEST,  # outside of the range
    "90015": Reason.INVALID_ID,  # the call_control_id was not valid
    "90018": Reason.INVALID_STATE,  # the call has ended
    "90019": Reason.INVALID_STATE,  # the conference has ended
    "90020": Reason.INVALID_STATE,  # recording before there is audio
    "90031": Reason.INVALID_STATE,  # the call is not forked
    "90032": Reason.INVALID_STATE,  # the conference is full
    "90033": Reason.INVALID_STATE,  # unable to execute, such as for a name that is taken
    "90034": Reason.INVALID_STATE,  # the call has not been answered
    "90036": Reason.INVALID_STATE,  # the queue is full
    "90038": Reason.INVALID_STATE,  # the call is in the queue already
    "90045": Reason.INVALID_STATE,  # media streaming is in use
    "90054": Reason.INVALID_STATE,  # transcription runs already
    "90061": Reason.INVALID_STATE,  # an assistant runs already
}

BY_STATUS: Mapping[int, Reason] = {
    400: Reason.INVALID_REQUEST,
    401: Reason.UPSTREAM_CREDENTIALS_REJECTED,
    402: Reason.PAYMENT_REQUIRED,
    403: Reason.NOT_AUTHORIZED,
    404: Reason.NOT_FOUND,
    409: Reason.CONFLICT,
    410: Reason.NOT_FOUND,
    412: Reason.INVALID_STATE,
    413: Reason.INVALID_REQUEST,
    414: Reason.INVALID_REQUEST,
    422: Reason.INVALID_REQUEST,
    429: Reason.RATE_LIMITED,
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


def meaning_of(status: int, error: ProviderError) -> Reason:
    """Return what a refusal means, by its HTTP status and the entry that is decisive."""
    by_status = BY_STATUS.get(status, Reason.UPSTREAM_UNEXPECTED_STATUS)
    if status in _FIRM_STATUSES and error.code != KEY_REJECTED:
        return by_status
    reason = BY_PROVIDER_CODE.get(error.code)
    if reason is Reason.RATE_LIMITED and error.pointer:
        # The provider uses 10011 for some fields' values, too, and points at them.
        return by_status
    if reason is not None:
        return reason
    if _CALL_CONTROL_CODE.fullmatch(error.code) and status in _OPEN_STATUSES:
        return Reason.INVALID_REQUEST if error.pointer else Reason.INVALID_STATE
    return by_status
