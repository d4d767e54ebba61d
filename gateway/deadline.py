"""A moment by which something must be done, passed on as one value instead of as timeouts."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

# What is kept back of a caller's deadline so that the response, and most of all an error with its
# details, reaches the caller before its library gives up and knows nothing: a tenth of the time,
# but not less than the way through two event loops takes (seconds), and not more than the way to
# another continent and back.
_REPLY_SHARE = 0.1
_REPLY_MIN_S = 0.01
_REPLY_MAX_S = 0.2


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

    @classmethod
    def before_callers(
        cls,
        seconds: float | None,
        *,
        default: float = math.inf,
        now: Callable[[], float] = monotonic,
    ) -> "Deadline":
        """Return when the work for a caller must be done so that it hears of it in time.

        The caller waits for `seconds`, or for ever where that is None: then the work has `default`
        seconds.
        """
        if seconds is None:
            return cls.after(default, now=now)
        reply = min(max(seconds * _REPLY_SHARE, _REPLY_MIN_S), _REPLY_MAX_S)
        return cls.after(seconds - reply, now=now)

    def remaining(self) -> float:
        """Return the seconds left; zero or less when it has passed."""
        return self.at - self._now()
