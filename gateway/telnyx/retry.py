"""Retries: how long to wait before a repeat, and when not to repeat at all."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from gateway.deadline import Deadline
from gateway.telnyx.attempt import TOO_MANY_REQUESTS, Attempt, History
from gateway.telnyx.operation import RestCall, Safety
from gateway.telnyx.transport import HttpResponse


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The numbers that retries follow. Times are seconds."""

    # Attempts for one call: three mend nearly all passing faults, more only add load.
    attempts_max: int = 4
    # Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): a wait is drawn
    # between zero and a limit that doubles with each attempt.
    backoff_first_s: float = 0.05
    backoff_max_s: float = 2.0
    # The provider remembers a command id for 60 s; the margin is for the request's way there and
    # for a clock that runs differently.
    command_memory_s: float = 60.0
    command_memory_margin_s: float = 5.0
    # An attempt gets no less than this (if the deadline allows it) and no more than half of what
    # is left, so that one lost answer does not use up the call.
    attempt_min_s: float = 1.0
    # A repeat with less time left than this could not be answered.
    useful_s: float = 0.02

    def forgotten_at(self, begun_at: float) -> float:
        """Return when the provider may have forgotten a command first sent at `begun_at`."""
        return begun_at + self.command_memory_s - self.command_memory_margin_s

    def attempt_timeout(self, deadline: Deadline, attempt: int, *, may_repeat: bool) -> float:
        """Return how long an attempt (numbered from 1) may take."""
        remaining = deadline.remaining()
        if not may_repeat or attempt >= self.attempts_max:
            return remaining
        return min(remaining, max(self.attempt_min_s, remaining / 2))


class RetryBudget:
    """Keeps retries to a share of the calls, so that an outage is not multiplied (gRFC A6).

    Every call adds `per_call` repeats to an account that holds `balance_max` at most and begins
    full; every repeat takes one. When everything fails, repeats are `per_call` of the calls.
    Hedges, which only make a call quicker, leave half of the account: slow answers must not use
    up what lost ones need.
    """

    def __init__(self, per_call: float = 0.1, balance_max: float = 100.0) -> None:
        self._per_call = per_call
        self._balance_max = balance_max
        self._balance = balance_max

    def call_made(self) -> None:
        """Add a call's share."""
        if self._balance < self._balance_max:
            self._balance = min(self._balance_max, self._balance + self._per_call)

    def take(self) -> bool:
        """Take one repeat if there is one."""
        return self._take(leaving=0)

    def take_for_hedge(self) -> bool:
        """Take one if half of what the account can hold is left then."""
        return self._take(leaving=self._balance_max / 2)

    def _take(self, leaving: float) -> bool:
        if self._balance - 1 < leaving:
            return False
        self._balance -= 1
        return True


class Retries:
    """Decides on repeats. `now` is the monotonic clock, in seconds."""

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        random_: random.Random,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.policy = policy
        self.budget = budget
        self._random = random_
        self._now = now

    def wait_before_next(
        self,
        attempt: Attempt,
        history: History,
        safety: Safety,
        call: RestCall,
        begun_at: float,
        deadline: Deadline,
    ) -> float | None:
        """Return the seconds to wait before the next attempt, None if there must be none."""
        policy = self.policy
        if history.attempts >= policy.attempts_max or not attempt.may_be_repeated(safety):
            return None
        limit = min(policy.backoff_max_s, policy.backoff_first_s * 2 ** (history.attempts - 1))
        wait = self._random.uniform(0, limit)
        if attempt.response is not None:
            asked = retry_after(attempt.response)
            if asked is not None:
                # Not all at the same moment, when many are told to come back then.
                wait += asked
            elif attempt.response.status == TOO_MANY_REQUESTS:
                wait += policy.backoff_first_s
        if deadline.remaining() - wait < policy.useful_s:
            return None
        remembers = self._now() + wait <= policy.forgotten_at(begun_at)
        if call.command_id and history.may_have_run and not remembers:
            return None
        return wait if self.budget.take() else None


def retry_after(response: HttpResponse) -> float | None:
    """Return the seconds that the provider asks to wait, or None if it does not say."""
    for name in ("retry-after", "x-ratelimit-reset"):
        try:
            seconds = float(response.headers.get(name, ""))
        except ValueError:
            continue
        # A reset far away is a moment on the clock, not a span: nobody should wait for it blindly.
        if 0 <= seconds <= 3_600:
            return seconds
    return None
