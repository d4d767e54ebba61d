"""Where a sweep begins: what the log is marked with, as far as it can be trusted.

What was noted by a clock that was ahead lies in the future once the clock is right. Such a time
says nothing, and what else is known counts instead: to start too early costs requests, to start
too late loses events.
"""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.clock import CLOCKS_APART_S, ClockState, Moment
from gateway.ingest.backfill.complete import Complete
from gateway.journal.reading import Measures

# For how long a delivery is not final, in seconds: the provider retries for 60 s, each try has its
# own timeout, and only then is the outcome in its log.
SETTLE_S = 120.0

# How far each sweep reaches back into what the one before has examined. Spans of time may be by
# this machine's clock, deliveries are by the provider's.
OVERLAP_S = SETTLE_S + CLOCKS_APART_S

# How much further the first sweep reaches back, in seconds: clocks may have been set meanwhile,
# and what is held already costs no more than a look.
START_MARGIN_S = 900.0


class Reached(NamedTuple):
    """The span of which this process has read everything, and when (by a clock nobody sets).

    The log's watermark outlives the process; this is known also while the watermark cannot be
    trusted, or cannot be corrected yet.
    """

    since_us: int
    until_us: int
    at: float

    def by(self, now: Moment, at: float) -> "Reached":
        """Return what of it is true by what is known of the time now.

        The clock may have been ahead when it was read, and the future that it showed was empty.
        """
        then_us = now.earliest_us - _us(at - self.at)
        return self._replace(until_us=min(self.until_us, then_us - _us(OVERLAP_S)))

    def and_then(self, more: "Reached") -> "Reached":
        """Return this with what was read after it, or only that if they do not touch."""
        if not self.since_us <= more.since_us <= self.until_us:
            return more
        return more._replace(since_us=self.since_us) if more.until_us > self.until_us else self


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where a sweep begins, in microseconds since 1970.

    `corrected` is the period to mark the log complete for, if its mark cannot be true.
    """

    since_us: int
    corrected: Complete | None = None


def beginning(
    complete: Complete | None,
    held: Measures,
    now: Moment,
    retention_age_s: float,
    *,
    is_first: bool,
    reached: Reached | None = None,
) -> Beginning | None:
    """Return where a sweep at this moment has to begin, None if there was nothing before.

    `reached` is what this process has read already, None if nothing. A mark that the time
    contradicts is not used, but it is corrected only when two witnesses agree on the time: a lone
    wrong `Date` must not undo what is known.
    """
    if complete is None and held.newest_received_at_us is None:
        return None
    future_us = now.latest_us + _us(CLOCKS_APART_S)

    def believed(*moments_us: int | None) -> int | None:
        """Return the first of some moments that is known and not in the future."""
        return next((it for it in moments_us if it is not None and it <= future_us), None)

    kept_us = kept_since_us(held, now, retention_age_s)
    begun_us = believed(complete.since_us) if complete else None
    is_marked = complete is not None and is_credible(complete, now)
    known_us = believed(
        complete.until_us if is_marked and complete else None,
        held.newest_received_at_us if complete is None else None,
        begun_us,
        held.oldest_received_at_us,
        kept_us,
    )
    assert known_us is not None  # what is kept begins in the past

    def since(known_us: int, margin_s: float) -> int:
        since_us = min(known_us, now.likely_us - _us(OVERLAP_S)) - _us(margin_s)
        if begun_us is not None and begun_us < now.likely_us:
            # What was sent before there was a log was not missed.
            since_us = max(since_us, begun_us)
        return max(since_us, kept_us)

    since_us = since(known_us, START_MARGIN_S if is_first else 0.0)
    if reached is not None and reached.since_us <= since_us < reached.until_us:
        # Read by this process, by its own steady clock: no margin.
        since_us = since(reached.until_us, 0.0)
    if complete is None or is_marked or now.state is not ClockState.CONFIRMED:
        return Beginning(since_us)
    return Beginning(since_us, Complete(min(begun_us or since_us, since_us), since_us))


def kept_since_us(held: Measures, now: Moment, retention_age_s: float) -> int:
    """Return from when on what was sent is kept: what retention has deleted must not come back."""
    kept_us = now.earliest_us - _us(retention_age_s)
    deleted_us = held.deleted_received_at_us
    if deleted_us is None or deleted_us > now.latest_us + _us(CLOCKS_APART_S):
        return kept_us
    return max(kept_us, deleted_us + 1)


def is_credible(complete: Complete, now: Moment) -> bool:
    """Tell whether the log may have been marked complete until then.

    Marks are always made some way behind the time. One that is too near to it, or beyond it, was
    made by a clock that was ahead, and then not even the past that it claims was looked at. (The
    very first mark claims nothing yet.)
    """
    is_first = complete.until_us == complete.since_us and complete.until_us <= now.latest_us
    return is_first or complete.until_us <= now.likely_us - _us(OVERLAP_S - CLOCKS_APART_S)


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
