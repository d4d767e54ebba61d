"""Ends: what each way for a request to end means.

One table says what may be retried, whether the command may have run, and what the caller is told. A
retry is sent only where it can help and can do no harm. A caller is told UPSTREAM_UNAVAILABLE
only where calling again can do no harm either, whatever became of the requests before.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.upstream.errors import Reason
from gateway.upstream.operation import Safety
from gateway.upstream.transport import (
    NotSentError,
    OverloadedError,
    OversizeError,
    TransportError,
)


class End(enum.Enum):
    """How a request, or a call with all its requests, ended."""

    # With a response, by its status.
    SUCCESS = "2xx"
    RATE_LIMITED = "429: the provider refused before doing anything"
    CONFLICT = "409: perhaps with another request of the same call"
    REFUSAL = "any other 4xx"
    TRANSIENT = "408, 500, 502, 503, 504: it may pass, and may have run"
    SERVER_ERROR = "any other status from 500 on"
    REDIRECTION = "300, 301, 302, 307, 308: instead of doing anything"
    UNEXPECTED = "any other status"
    # With a response that contradicts itself.
    ERROR_IN_SUCCESS = "an error in a 2xx"
    # Without the provider's response.
    NOT_SENT = "it provably never left"
    OVERLOADED = "it was not sent because too many are in flight"
    NO_RESPONSE = "it may have arrived, and no whole response of the provider's came back"
    TOO_LARGE = "a response came that is larger than the gateway reads"
    GIVEN_UP = "nobody waits for it: another request won, or the caller has gone"
    # Of the call.
    UNREADABLE = "a 2xx came that cannot be decoded"
    TOO_LATE = "the deadline has passed, or is too near to send anything"
    SHUT_DOWN = "the gateway was shut down before the response"


class Outcome(enum.Enum):
    """Whether a command ran, as far as an end tells."""

    NOT_RUN = enum.auto()
    UNKNOWN = enum.auto()
    DONE = enum.auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """What an end means."""

    outcome: Outcome
    # Which operations are sent again.
    retried: frozenset[Safety]
    # Whether another request in flight cannot end any better.
    is_final: bool
    # What the caller is told if it may call again, and if that might run the command twice. None
    # is what the provider's own words mean.
    reason: Reason | None
    reason_if_harmful: Reason | None


_ALL = frozenset(Safety)
_HARMLESS = frozenset({Safety.READ, Safety.REPEATABLE})
_NONE = frozenset[Safety]()

_UNAVAILABLE, _UNKNOWN = Reason.UPSTREAM_UNAVAILABLE, Reason.OUTCOME_UNKNOWN
_UNREADABLE, _LATE = Reason.UPSTREAM_UNREADABLE_ANSWER, Reason.DEADLINE_EXCEEDED
_OVERLOADED, _SHUT_DOWN = Reason.GATEWAY_OVERLOADED, Reason.GATEWAY_SHUTTING_DOWN

RULES: Mapping[End, Rule] = {
    End.SUCCESS: Rule(Outcome.DONE, _NONE, True, None, None),
    # A conflict may be one with the other request, and what nobody expects, or only a proxy says,
    # is no reason to give up on that.
    End.RATE_LIMITED: Rule(Outcome.NOT_RUN, _ALL, False, None, _UNKNOWN),
    End.CONFLICT: Rule(Outcome.NOT_RUN, _NONE, False, None, None),
    End.REFUSAL: Rule(Outcome.NOT_RUN, _NONE, True, None, None),
    End.TRANSIENT: Rule(Outcome.UNKNOWN, _HARMLESS, False, _UNAVAILABLE, _UNKNOWN),
    End.SERVER_ERROR: Rule(Outcome.UNKNOWN, _NONE, False, _UNAVAILABLE, _UNKNOWN),
    End.REDIRECTION: Rule(Outcome.NOT_RUN, _NONE, False, None, None),
    End.UNEXPECTED: Rule(Outcome.UNKNOWN, _NONE, False, None, None),
    End.ERROR_IN_SUCCESS: Rule(Outcome.UNKNOWN, _NONE, False, _UNAVAILABLE, _UNKNOWN),
    End.NOT_SENT: Rule(Outcome.NOT_RUN, _ALL, False, _UNAVAILABLE, _UNKNOWN),
    # Sending it again would only make the crowd larger.
    End.OVERLOADED: Rule(Outcome.NOT_RUN, _NONE, False, _OVERLOADED, _UNKNOWN),
    End.NO_RESPONSE: Rule(Outcome.UNKNOWN, _HARMLESS, False, _UNAVAILABLE, _UNKNOWN),
    # The next response would be as large.
    End.TOO_LARGE: Rule(Outcome.UNKNOWN, _NONE, False, _UNREADABLE, _UNREADABLE),
    End.GIVEN_UP: Rule(Outcome.UNKNOWN, _NONE, False, _UNAVAILABLE, _UNKNOWN),
    End.UNREADABLE: Rule(Outcome.DONE, _NONE, True, _UNREADABLE, _UNREADABLE),
    End.TOO_LATE: Rule(Outcome.NOT_RUN, _NONE, True, _LATE, _LATE),
    End.SHUT_DOWN: Rule(Outcome.NOT_RUN, _NONE, True, _SHUT_DOWN, _UNKNOWN),
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
    """Return what the caller of a failed call is told, None for what the provider's words mean.

    `is_harmless` tells whether it may call again: see `may_call_again`.
    """
    if end is End.ERROR_IN_SUCCESS and safety is Safety.READ:
        return None  # nothing has happened: the query failed by that error
    rule = RULES[end]
    return rule.reason if is_harmless else rule.reason_if_harmful


def may_call_again(
    safety: Safety, *, may_have_run: bool, id_was_made: bool, is_forgotten: bool
) -> bool:
    """Tell whether a caller may make the same call again without a second effect.

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
