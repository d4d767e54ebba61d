"""A moment by which something must be done, passed on as one value instead of as timeouts."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock, in seconds."""

    at: float
    _now: Callable[[], float] = field(default=monotonic, repr=False, compare=False)

    @classmethod
    def after(
        cls,
        seconds: float | None,
        *,
        default: float = math.inf,
        now: Callable[[], float] = monotonic,
    ) -> "Deadline":
        """Return the moment `seconds` from now, or `default` seconds where nobody set any."""
        return cls(now() + (default if seconds is None else seconds), now)

    def remaining(self) -> float:
        """Return the seconds left; zero or less when it has passed."""
        return self.at - self._now()
