"""What time it is, by more than one clock.

Three witnesses tell the time, and each may be wrong. The machine's wall clock: not set yet after a
start, set by hand, off by a zone. The steady clock, which nobody sets, counted on from the last
time that was believed: it stands still while the machine sleeps. The provider, by the `Date` of
its responses and, within the tolerance of a signature, by each verified webhook: a proxy may
freeze a `Date` or make one up. What two of them say is believed. While they disagree, the time is
only known to lie between what they say.

What is promised: a time that is called confirmed is the machine's, and while the latest `Date` was
right, it is no further from the truth than one tolerance. So it takes two wrong witnesses, this
one and the machine's, to confirm a wrong time. Where no response has a `Date`, the tolerance of a
webhook's signature and that of a wall clock that is set may add up to two.
"""

import enum
from collections.abc import Callable
from time import monotonic, time
from typing import NamedTuple

# How far two clocks may be apart and be believed, in seconds: webhooks that are further off are
# refused by their signatures.
CLOCKS_APART_S = 300.0

# No clock is right that shows less, in seconds since 1970: the start of 2025. Machines
# whose clock has not been set begin in 1970, or when they were made.
_NO_EARLIER_THAN = 1_735_689_600.0

# A clock that is adjusted by less between two readings is slewed, as clocks are, and not set.
_SLEW_S = 1.0

# After so long without a word from the provider, in seconds, a clock that nobody has set meanwhile
# is believed: events must not be kept for ever because the provider is away. And after so long a
# `Date` that advances as time does is believed over a later wall clock that nothing has confirmed:
# it is not frozen, and to be behind loses nothing.
UNCONFIRMED_S = 3_600.0


class ClockState(enum.Enum):
    """Whether the machine's clock is believed. The names are those of the API."""

    CONFIRMED = "confirmed"  # the provider's is near it
    UNCONFIRMED = "unconfirmed"  # nothing has come from the provider yet
    SUSPECT = "suspect"  # it is far from the provider's, or was set and nobody has confirmed it


class Moment(NamedTuple):
    """What is known of the time now: it is not before `earliest` and not after `latest`.

    In seconds since 1970. The two differ only while nobody can tell which of the clocks is right.
    """

    earliest: float
    latest: float
    state: ClockState
    # How far the machine's clock is ahead of the provider's, in seconds; None if that is not known.
    ahead: float | None
    # The best guess, for what does no harm if it is wrong: nothing may be marked complete or be
    # deleted by it.
    likely: float

    @property
    def earliest_us(self) -> int:
        """The earliest in microseconds."""
        return round(self.earliest * 1e6)

    @property
    def latest_us(self) -> int:
        """The latest in microseconds."""
        return round(self.latest * 1e6)

    @property
    def likely_us(self) -> int:
        """The best guess in microseconds."""
        return round(self.likely * 1e6)


class _Reading(NamedTuple):
    """A time, in seconds since 1970, and what the steady clock showed then."""

    time: float
    steady: float

    def at(self, steady: float) -> float:
        """Return what time it is when the steady clock shows that."""
        return self.time + (steady - self.steady)


class Clock:
    """Weighs the machine's clock (`wall`), a `steady` one, and what the provider says."""

    def __init__(
        self, wall: Callable[[], float] = time, steady: Callable[[], float] = monotonic
    ) -> None:
        self._wall = wall
        self._steady = steady
        # A time that was right, or taken for right.
        self._believed = _Reading(wall(), steady())
        self._started_at = self._believed.steady
        # Whether two witnesses have agreed on it.
        self._confirmed = False
        # The provider's last `Date`, and the first of those that contradict everything else and
        # advance as time does.
        self._dated: _Reading | None = None
        self._contested: _Reading | None = None

    def now(self) -> Moment:
        """Return what is known of the time."""
        wall, steady = self._wall(), self._steady()
        if self._contested and self._dated and _agree(wall, self._dated.at(steady)):
            self._believe(_Reading(wall, steady))  # somebody has set the wall clock right
        counted = self._believed.at(steady)
        ahead = None if self._dated is None else wall - self._dated.at(steady)
        if not self._confirmed and abs(wall - counted) <= _SLEW_S:
            self._believed = _Reading(wall, steady)
        own = wall if _agree(wall, counted) and not self._is_outvoted(wall, steady) else counted
        if self._contested and self._dated:
            date = self._dated.at(steady)
            # Before anything was confirmed, the `Date` is the better guess.
            likely = own if self._confirmed else date
            candidates = (wall, own, date)
            return Moment(min(candidates), max(candidates), ClockState.SUSPECT, ahead, likely)
        if own == wall:
            state = ClockState.CONFIRMED if self._confirmed else ClockState.UNCONFIRMED
            return Moment(wall, wall, state, ahead, wall)
        if self._confirmed:
            return Moment(counted, counted, ClockState.SUSPECT, ahead, counted)
        earliest = min(wall, counted)
        return Moment(earliest, max(wall, counted), ClockState.SUSPECT, ahead, earliest)

    def provider_time(self, seconds: float) -> None:
        """Take note of the time (seconds since 1970) in a response that has just come.

        One that no clock can show that is right is not taken for a time at all.
        """
        if seconds < _NO_EARLIER_THAN:
            return
        wall, steady = self._wall(), self._steady()
        self._dated = date = _Reading(seconds, steady)
        if _agree(wall, seconds):
            # The wall clock's, not the `Date`: one that is slow would drag the believed time along.
            self._believe(_Reading(wall, steady))
        elif _agree(self._believed.at(steady), seconds):
            self._believe(self._believed)
        elif not self._confirmed and wall < _NO_EARLIER_THAN:
            self._believe(date)
        else:
            self._contest(date, wall)

    def webhook_verified(self) -> None:
        """Take note that a signature has just been found to be of this time."""
        wall, steady = self._wall(), self._steady()
        if self._dated is not None and not _agree(wall, self._dated.at(steady)):
            self._dated = None
        self._believe(_Reading(wall, steady))

    def for_deleting(self) -> float:
        """Return the time (seconds since 1970) that decides what is old enough to be deleted.

        What is deleted does not come back. So it is the earliest that any of the clocks says, and
        as long as the provider has said nothing, it is 1970.
        """
        now = self.now()
        waited = self._steady() - self._started_at >= UNCONFIRMED_S
        heard = self._confirmed or self._contested is not None
        if heard or (waited and now.state is ClockState.UNCONFIRMED):
            return min(now.earliest, self._wall())
        return 0.0

    def _is_outvoted(self, wall: float, steady: float) -> bool:
        """Tell whether the `Date` contradicts the wall clock and not the believed time.

        Each is within its tolerance of the believed time, but one on this side and one on that.
        """
        if self._dated is None:
            return False
        date = self._dated.at(steady)
        return not _agree(wall, date) and _agree(self._believed.at(steady), date)

    def _contest(self, date: _Reading, wall: float) -> None:
        """Take note of a `Date` that nothing agrees with.

        One that is later than the rest never wins by itself: it would mark what has not come.
        """
        first = self._contested
        if first is None or not _agree(first.at(date.steady), date.time):
            self._contested = first = date
        lasted = date.steady - first.steady >= UNCONFIRMED_S
        if lasted and not self._confirmed and date.time < min(wall, self._believed.at(date.steady)):
            self._believe(date)

    def _believe(self, reading: _Reading) -> None:
        self._believed = reading
        self._confirmed = True
        self._contested = None


def _agree(one: float, other: float) -> bool:
    return abs(one - other) <= CLOCKS_APART_S
