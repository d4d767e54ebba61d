"""Ends: what each way for a request to end means.

Two tables say it all: what is retried and whether the command may have run, and which reason the
caller gets. A retry is sent only where it can help and is harmless. A caller gets
UPSTREAM_UNAVAILABLE only where its own retry is harmless, too, whatever became of the requests
before.
"""

import enum
from collections.abc import Mapping
from typing import NamedTuple

from gateway.schema.rest import Safety
from gateway.upstream.errors import Reason
from gateway.upstream.transport import (
    NotSentError,
    OverloadedError,
    OversizeError,
    TransportError,
)


class End(enum.Enum):
    """How a request, or a call with all its requests, ended."""

    # A request, with a response: by its status, but for the one that contradicts itself.
    SUCCESS = "2xx"
    ERROR_IN_SUCCESS = "an error in a 2xx"
    RATE_LIMITED = "429: the provider refused before doing anything"
    CONFLICT = "409: perhaps with another request of the same call"
    REFUSAL = "any other 4xx"
    TRANSIENT = "408, 500, 502, 503, 504: it may pass, and may have run"
    SERVER_ERROR = "any other status from 500 on"
    REDIRECTION = "300, 301, 302, 307, 308: instead of doing anything"
    UNEXPECTED = "any other status"
    # A request, without the provider's response.
    NOT_SENT = "it provably never left"
    OVERLOADED = "it was not sent because too many are in flight"
    NO_RESPONSE = "it may have arrived, and no complete response of the provider came back"
    TOO_LARGE = "a response came that is larger than the gateway reads"
    # A call, whatever became of its requests.
    UNREADABLE = "a 2xx came that cannot be decoded"
    TOO_LATE = "the deadline has passed, or is too near to send anything"
    SHUT_DOWN = "the gateway shut down before the response"


class Rule(NamedTuple):
    """What follows from the end of a request."""

    # Whether the command may have run although no response says so.
    may_have_run: bool
    # Which operations are retried.
    retried: frozenset[Safety]
    # Whether another request in flight cannot end any better.
    is_final: bool


_ALL = frozenset(Safety)
_HARMLESS = frozenset({Safety.READ, Safety.IDEMPOTENT})
_NONE = frozenset[Safety]()

RULES: Mapping[End, Rule] = {
    End.SUCCESS: Rule(False, _NONE, True),
    End.ERROR_IN_SUCCESS: Rule(True, _NONE, False),
    End.RATE_LIMITED: Rule(False, _ALL, False),
    # It may be one with the other request, which may succeed.
    End.CONFLICT: Rule(False, _NONE, False),
    End.REFUSAL: Rule(False, _NONE, True),
    End.TRANSIENT: Rule(True, _HARMLESS, False),
    # What only a proxy says, or nobody expects, is no reason to abandon the other request.
    End.SERVER_ERROR: Rule(True, _NONE, False),
    End.REDIRECTION: Rule(False, _NONE, False),
    End.UNEXPECTED: Rule(True, _NONE, False),
    End.NOT_SENT: Rule(False, _ALL, False),
    # A retry would only add to the load.
    End.OVERLOADED: Rule(False, _NONE, False),
    End.NO_RESPONSE: Rule(True, _HARMLESS, False),
    # The next response would be as large.
    End.TOO_LARGE: Rule(True, _NONE, False),
}


class Reasons(NamedTuple):
    """The reason a caller gets when a call ends so; None: what the provider's own words mean."""

    # Where the caller's retry is harmless, and where it might run the command a second time.
    if_harmless: Reason | None
    if_harmful: Reason | None


_THE_PROVIDERS_WORDS = Reasons(None, None)
_MAY_PASS = Reasons(Reason.UPSTREAM_UNAVAILABLE, Reason.OUTCOME_UNKNOWN)
_CANNOT_BE_READ = Reasons(Reason.UPSTREAM_UNREADABLE_RESPONSE, Reason.UPSTREAM_UNREADABLE_RESPONSE)

REASONS: Mapping[End, Reasons] = {
    End.ERROR_IN_SUCCESS: _MAY_PASS,
    # Refused now, but a request before it may have run.
    End.RATE_LIMITED: Reasons(None, Reason.OUTCOME_UNKNOWN),
    End.CONFLICT: _THE_PROVIDERS_WORDS,
    End.REFUSAL: _THE_PROVIDERS_WORDS,
    End.TRANSIENT: _MAY_PASS,
    End.SERVER_ERROR: _MAY_PASS,
    End.REDIRECTION: _THE_PROVIDERS_WORDS,
    End.UNEXPECTED: _THE_PROVIDERS_WORDS,
    End.NOT_SENT: _MAY_PASS,
    End.OVERLOADED: Reasons(Reason.GATEWAY_OVERLOADED, Reason.OUTCOME_UNKNOWN),
    End.NO_RESPONSE: _MAY_PASS,
    End.TOO_LARGE: _CANNOT_BE_READ,
    End.UNREADABLE: _CANNOT_BE_READ,
    End.TOO_LATE: Reasons(Reason.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED),
    End.SHUT_DOWN: Reasons(Reason.GATEWAY_SHUTTING_DOWN, Reason.OUTCOME_UNKNOWN),
}

TOO_MANY_REQUESTS = 429

_BY_STATUS = {
    TOO_MANY_REQUESTS: End.RATE_LIMITED,
    409: End.CONFLICT,
    **dict.fromkeys((408, 500, 502, 503, 504), End.TRANSIENT),
    **dict.fromkeys((300, 301, 302, 307, 308), End.REDIRECTION),
}

TRANSIENT_STATUSES = tuple(it for it, end in _BY_STATUS.items() if end is End.TRANSIENT)

# The provider's word that what was to be deleted is not there.
_GONE = frozenset({404, 410})


def end_of_status(status: int) -> End:
    """Return how a request ended that has a response with this status."""
    end = _BY_STATUS.get(status)
    if end is not None:
        return end
    if 200 <= status < 300:
        return End.SUCCESS
    if 400 <= status < 500:
        return End.REFUSAL
    return End.SERVER_ERROR if status >= 500 else End.UNEXPECTED


def end_of_error(error: TransportError) -> End:
    """Return how a request ended that has no response."""
    match error:
        case OverloadedError():
            return End.OVERLOADED
        case NotSentError():
            return End.NOT_SENT
        case OversizeError():
            return End.TOO_LARGE
        case _:
            return End.NO_RESPONSE


def reason_of(end: End, safety: Safety, *, is_harmless: bool) -> Reason | None:
    """Return the reason that the caller of a failed call gets.

    None is what the provider's words mean. `is_harmless` tells whether the caller may retry: see
    `caller_may_retry`.
    """
    if end is End.ERROR_IN_SUCCESS and safety is Safety.READ:
        return None  # nothing has happened: the query failed by that error
    reasons = REASONS[end]
    return reasons.if_harmless if is_harmless else reasons.if_harmful


def caller_may_retry(
    safety: Safety, *, may_have_run: bool, id_was_made: bool, is_forgotten: bool
) -> bool:
    """Tell whether a caller may retry without a second effect.

    Not so for a command whose id the gateway made (`id_was_made`): the next call would get another
    id, and the provider would take it for another command. Nor for one whose id the provider may
    have forgotten (`is_forgotten`).
    """
    if not may_have_run:
        return True
    if is_forgotten or id_was_made:
        return False
    return safety is not Safety.ONCE


def was_deleted_before(method: str, status: int, *, may_have_run: bool) -> bool:
    """Tell whether a deletion finds nothing because an earlier request had deleted it."""
    return method == "DELETE" and status in _GONE and may_have_run
