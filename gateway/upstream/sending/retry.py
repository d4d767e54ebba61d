"""Retries: the numbers that they follow, and the budget that bounds them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The numbers that retries follow. Times are seconds."""

    # Requests for one call: three mend nearly all passing faults, more only add load.
    attempts_max: int = 4
    # Requests of one call at one time: what two of them do not get, a third does not get either.
    in_flight_max: int = 2
    # Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): a wait is drawn
    # between zero and a limit that doubles with each attempt.
    backoff_first_s: float = 0.05
    backoff_max_s: float = 2.0
    # The provider remembers a command id for 60 s; the margin is for the request's way there and
    # for a clock that runs differently.
    command_memory_s: float = 60.0
    command_memory_margin_s: float = 5.0
    # A request without a response after half of the call's time may be lost: it is hedged, but not
    # earlier than this ...
    patience_min_s: float = 1.0
    # ... and not later. The provider responds within a second nearly always.
    patience_max_s: float = 10.0
    # The longest that one request may take: by then the provider has forgotten a command's id.
    # Without it, a hung connection would be held for as long as a caller without a deadline waits,
    # and with it a slot. Not less, although a hung slot would be free sooner: the official SDK
    # waits for a minute too, so a response may come that late, and what cannot be retried would
    # end without one although it ran. A hang is reported after 10 s.
    attempt_max_s: float = 60.0
    # A request with less time left than this could not be responded to in time.
    useful_s: float = 0.02

    def forgotten_at(self, begun_at: float) -> float:
        """Return when the provider may have forgotten a command first sent at `begun_at`."""
        return begun_at + self.command_memory_s - self.command_memory_margin_s

    def patience_s(self, remaining_s: float) -> float:
        """Return how long a request may be without a response before it is hedged."""
        return min(max(self.patience_min_s, remaining_s / 2), self.patience_max_s)

    def backoff_limit_s(self, attempts: int) -> float:
        """Return the longest wait before the next attempt after so many."""
        return min(self.backoff_max_s, self.backoff_first_s * 2.0 ** (attempts - 1))


class RetryBudget:
    """Keeps retries to a share of the calls, so that an outage is not multiplied (gRFC A6).

    Every call adds `per_call` retries to an account that holds `balance_max` at most and begins
    full; every retry takes one. When everything fails, retries are `per_call` of the calls.
    Hedges leave half of the account: slow responses must not use up what lost ones need.
    """

    def __init__(self, per_call: float = 0.1, balance_max: float = 100.0) -> None:
        self.per_call = per_call
        self.balance_max = balance_max
        self._balance = balance_max

    @property
    def balance(self) -> float:
        """How many retries could be sent now."""
        return self._balance

    def call_made(self) -> None:
        """Add a call's share."""
        if self._balance < self.balance_max:
            self._balance = min(self.balance_max, self._balance + self.per_call)

    def take(self) -> bool:
        """Take one retry if there is one."""
        return self._take(leaving=0)

    def take_for_hedge(self) -> bool:
        """Take one hedge if half of what the account can hold is left then."""
        return self._take(leaving=self.balance_max / 2)

    def _take(self, leaving: float) -> bool:
        if self._balance - 1 < leaving:
            return False
        self._balance -= 1
        return True
