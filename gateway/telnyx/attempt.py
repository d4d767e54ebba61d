"""Attempts: one request sent once, and what its end says about repeating it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.telnyx.operation import RestCall, Safety
from gateway.telnyx.transport import (
    HttpResponse,
    NotSentError,
    OverloadedError,
    OversizeError,
    TransportError,
)

# The provider refused the request before doing anything.
TOO_MANY_REQUESTS = 429

# Answers that do not tell whether the command ran, and that a repeat may mend.
PASSING_STATUSES = frozenset({408, 500, 502, 503, 504})


class Attempt(NamedTuple):
    """How one attempt ended: with an answer, or with the reason why there is none."""

    response: HttpResponse | None = None
    error: TransportError | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the provider answered 2xx."""
        return self.response is not None and 200 <= self.response.status < 300

    @property
    def is_final(self) -> bool:
        """Whether another attempt under way cannot end any better."""
        if self.response is not None:
            return not self.may_be_repeated(Safety.REPEATABLE)
        return isinstance(self.error, OversizeError)

    @property
    def may_have_run(self) -> bool:
        """Whether the command may have run although no answer says so."""
        if self.response is not None:
            status = self.response.status
            return status in PASSING_STATUSES or status >= 500
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


class AttemptEnded(NamedTuple):
    """An attempt that has ended, for metrics. `number` is 1 for the first of a call."""

    method: str
    number: int
    outcome: str


AttemptObserver = Callable[[AttemptEnded], None]


@dataclass(slots=True)
class History:
    """What is known of a call from the attempts made for it so far."""

    attempts: int = 0
    # Whether any of them may have run.
    may_have_run: bool = False
    # How long ago the first began when the call failed, in seconds.
    age_s: float = 0.0

    def add(self, attempt: Attempt) -> None:
        """Take note of an attempt's end."""
        self.attempts += 1
        self.may_have_run = self.may_have_run or (attempt.may_have_run and not attempt.succeeded)

    def give_up(self) -> None:
        """Take note of an attempt whose end is not waited for."""
        self.attempts += 1
        self.may_have_run = True


def is_harmless_for_the_caller(call: RestCall, safety: Safety) -> bool:
    """Tell whether the caller may call again without a second effect.

    Not so for a command whose id the gateway made: the caller's next call would get another id,
    and the provider would take it for another command.
    """
    if safety is Safety.REPEATABLE:
        return not call.command_id_was_made
    return safety is Safety.READ
