"""A token bucket: so many at once, and then so many a second."""

from collections.abc import Callable


class TokenBucket:
    """Holds up to `burst` tokens, which come back at `per_s` a second. It begins full.

    `now` is the monotonic clock, in seconds.
    """

    __slots__ = ("_at", "_held", "_now", "burst", "per_s")

    def __init__(self, per_s: float, burst: float, now: Callable[[], float]) -> None:
        self.per_s = per_s
        self.burst = burst
        self._now = now
        self._held = burst
        self._at = now()

    @property
    def held(self) -> float:
        """How many tokens there are; below zero if more were spent."""
        now = self._now()
        self._held = min(self.burst, self._held + (now - self._at) * self.per_s)
        self._at = now
        return self._held

    def try_take(self, tokens: float) -> bool:
        """Take tokens if there are so many; false if there are not."""
        left = self.held - tokens
        if left < 0:
            return False
        self._held = left
        return True

    def spend(self, tokens: float) -> None:
        """Take tokens that may not be there: whoever comes next waits for them.

        Fewer than none are put back.
        """
        self._held = min(self.burst, self.held - tokens)

    def give_back(self, tokens: float) -> None:
        """Put back tokens that were taken and not used."""
        self.spend(-tokens)

    def change(self, per_s: float, burst: float) -> None:
        """Go on at another rate, with what is held as far as there is room for it."""
        self._held = min(burst, self.held)
        self.per_s, self.burst = per_s, burst

    def wait_s(self, tokens: float) -> float:
        """Return in how many seconds there will be so many tokens, if nobody takes any."""
        return max(0.0, (tokens - self.held) / self.per_s)

    def within(self, seconds: float) -> float:
        """Return how many tokens can be taken by then, one after the other, if nobody else does."""
        return self.held + seconds * self.per_s
