"""Attempts: one request sent once, and what its end says about sending it again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.upstream.operation import RestCall, Safety
from gateway.upstream.transport import (
    HttpResponse,
    NotSentError,
    OverloadedError,
    OversizeError,
    TransportError,
)

# The provider refused the request before doing anything.
TOO_MANY_REQUESTS = 429

# Responses that do not tell whether the command ran, and that a retry may mend.
PASSING_STATUSES = frozenset({408, 500, 502, 503, 504})

# Refusals that the other attempt of the same call may not get.
_NOT_FINAL = frozenset({408, 409, TOO_MANY_REQUESTS})


# Redirections instead of work; the others say that it has been done, or nothing of it.
_ELSEWHERE = frozenset({300, 301, 302, 307, 308})


class Attempt(NamedTuple):
    """How one attempt ended: with a response, or with the reason why there is none."""

    response: HttpResponse | None = None
    error: TransportError | None = None
    # Whether the response may not be the last word: an error in a 2xx.
    is_doubtful: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the provider responded with 2xx."""
        return self.response is not None and 200 <= self.response.status < 300

    @property
    def is_final(self) -> bool:
        """Whether another attempt in flight cannot end any better.

        So it is with a success and with a refusal. A conflict may be one with the other attempt,
        and what only a proxy says, or nobody expects, is no reason to give up on that.
        """
        if self.response is None or self.is_doubtful:
            return False
        status = self.response.status
        return self.succeeded or (400 <= status < 500 and status not in _NOT_FINAL)

    @property
    def may_have_run(self) -> bool:
        """Whether the command may have run although no response says so."""
        if self.is_doubtful:
            return True
        if self.response is not None:
            status = self.response.status
            return status in PASSING_STATUSES or not (200 <= status < 300 or _is_refusal(status))
        return not isinstance(self.error, NotSentError)

    def may_be_repeated(self, safety: Safety) -> bool:
        """Tell whether sending the same again can help and can do no harm."""
        if self.response is not None:
            status = self.response.status
            if status == TOO_MANY_REQUESTS:
                return True
            return status in PASSING_STATUSES and safety is not Safety.ONCE
        if isinstance(self.error, (OversizeError, OverloadedError)):
            return False
        return isinstance(self.error, NotSentError) or safety is not Safety.ONCE

    @property
    def outcome(self) -> str:
        """A word for metrics: the status, or the kind of error."""
        if self.response is not None:
            return str(self.response.status)
        return type(self.error).__name__.removesuffix("Error").lower()


# The outcome of an attempt whose end nobody waits for: another one won, or the caller has gone.
GIVEN_UP = "given_up"


class AttemptEnded(NamedTuple):
    """An attempt that has ended, for metrics. `number` is 1 for the first of a call."""

    method: str
    number: int
    outcome: str


AttemptObserver = Callable[[AttemptEnded], None]


def _is_refusal(status: int) -> bool:
    return 400 <= status < 500 or status in _ELSEWHERE


@dataclass(slots=True)
class History:
    """What is known of a call from the requests sent for it so far."""

    # Requests sent, or refused before they could leave.
    attempts: int = 0
    # Whether any of them may have run.
    may_have_run: bool = False
    # For how many seconds more the provider will know the call's command id.
    remembered_s: float = 0.0
    # For how many seconds more the provider does not want to be called again; None if it did not
    # say so.
    retry_after_s: float | None = None

    def add(self, attempt: Attempt) -> None:
        """Take note of an attempt's end."""
        failed = attempt.is_doubtful or not attempt.succeeded
        self.may_have_run = self.may_have_run or (attempt.may_have_run and failed)


def is_harmless_for_the_caller(call: RestCall, safety: Safety) -> bool:
    """Tell whether the caller may call again without a second effect.

    Not so for a command whose id the gateway made: the caller's next call would get another id,
    and the provider would take it for another command.
    """
    if safety is Safety.REPEATABLE:
        return not call.command_id_was_made
    return safety is Safety.READ
