"""What time it is, by more than one clock.

The machine's clock may be wrong: not set yet after a start, set by hand, off by a zone. Two others
tell. The provider's time stands in each of its responses and, within the tolerance of a signature,
in each verified webhook; and a monotonic clock, which nobody sets, tells how long ago that was.
"""

import enum
from collections.abc import Callable
from time import monotonic, time
from typing import NamedTuple

# How far two clocks may be apart and be believed, in seconds: webhooks that are further off are
# refused by their signatures.
CLOCKS_APART_S = 300.0

# A clock that is adjusted by less between two readings is slewed, as clocks are, and not set.
_SLEW_S = 1.0

# After so long without a word from the provider, in seconds, a clock that nobody has set meanwhile
# is believed: events must not be kept for ever because the provider is away.
UNCONFIRMED_S = 3_600.0


class ClockState(enum.Enum):
    """Whether the machine's clock is believed. The names are those of the API."""

    CONFIRMED = "confirmed"  # the provider's is near it
    UNCONFIRMED = "unconfirmed"  # nothing has come from the provider yet
    SUSPECT = "suspect"  # it is far from the provider's, or was set and nobody has confirmed it


class Moment(NamedTuple):
    """What is known of the time now: it is not before `earliest` and not after `latest`.

    In seconds since 1970. The two differ only while nobody can tell which of two clocks is right.
    """

    earliest: float
    latest: float
    state: ClockState
    # How far the machine's clock is ahead of the provider's, in seconds; None if that is not known.
    ahead: float | None

    @property
    def earliest_us(self) -> int:
        """The earliest in microseconds."""
        return round(self.earliest * 1e6)

    @property
    def latest_us(self) -> int:
        """The latest in microseconds."""
        return round(self.latest * 1e6)


class Clock:
    """Compares the machine's clock (`wall`) with those that can tell whether it is right."""

    def __init__(
        self, wall: Callable[[], float] = time, steady: Callable[[], float] = monotonic
    ) -> None:
        self._wall = wall
        self._steady = steady
        # A time that was right, or taken for right, and the steady clock's reading then.
        self._known = wall()
        self._known_at = self._started_at = steady()
        self._confirmed = False
        self._by_provider = False

    def now(self) -> Moment:
        """Return what is known of the time."""
        wall, steady = self._wall(), self._steady()
        reckoned = self._known + (steady - self._known_at)
        ahead = wall - reckoned if self._by_provider else None
        if abs(wall - reckoned) <= CLOCKS_APART_S:
            if not self._confirmed and abs(wall - reckoned) <= _SLEW_S:
                self._known, self._known_at = wall, steady
            state = ClockState.CONFIRMED if self._confirmed else ClockState.UNCONFIRMED
            return Moment(wall, wall, state, ahead)
        if self._confirmed:
            return Moment(reckoned, reckoned, ClockState.SUSPECT, ahead)
        return Moment(min(wall, reckoned), max(wall, reckoned), ClockState.SUSPECT, ahead)

    def provider_told(self, seconds: float) -> None:
        """Take note of the time (seconds since 1970) in a response that has just come."""
        self._known, self._known_at = seconds, self._steady()
        self._confirmed = self._by_provider = True

    def webhook_verified(self) -> None:
        """Take note that a signature has just been found to be of this time."""
        wall, steady = self._wall(), self._steady()
        reckoned = self._known + (steady - self._known_at)
        if not self._confirmed or abs(wall - reckoned) > CLOCKS_APART_S:
            self._known, self._known_at = wall, steady
            self._by_provider = False
        self._confirmed = True

    def for_deleting(self) -> float:
        """Return the time (seconds since 1970) that decides what is old enough to be deleted.

        What is deleted does not come back. So it is the earlier of the machine's time and the
        provider's, and as long as the provider has told neither, it is 1970.
        """
        now = self.now()
        waited = self._steady() - self._started_at >= UNCONFIRMED_S
        if self._confirmed or (waited and now.state is ClockState.UNCONFIRMED):
            return min(now.earliest, self._wall())
        return 0.0
