"""Expiry: how far retention reaches into the log, a step at a time.

What goes is always a beginning of the log, whatever the clock did: what is held has no holes. The
log's order is the order of arrival; the times in it are those of a clock that may have been set.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from gateway.journal.retention import Retention

# Events looked at in one step, so that appends wait for milliseconds at the most.
PRUNE_STEP = 1_000

# What an event takes in the database beside its two forms, in bytes: its id twice, its keys, its
# place in the indexes.
_ROW_BYTES = 300

# Later than any time in the log, in microseconds.
FOR_EVER_US = 2**62

# (sequence, received_at_us, size in bytes)
_Row: TypeAlias = tuple[int, int, int]


class Bounds(NamedTuple):
    """What may stay: received at `before_us` or later, seen at `now_us`; and so many bytes.

    Times are microseconds since 1970. What has a number up to `through` goes whatever it is.
    """

    before_us: int
    now_us: int
    size_bytes: int
    through: int = 0

    @classmethod
    def of(cls, retention: Retention, now: float) -> "Bounds":
        """Return what a retention leaves at a time, in seconds since 1970."""
        now_us = round(now * 1e6)
        return cls(now_us - round(retention.age_s * 1e6), now_us, retention.size_bytes)

    @classmethod
    def after(cls, number: int) -> "Bounds":
        """Return what leaves everything that comes after a number, and nothing else."""
        return cls(-FOR_EVER_US, 0, 2**62, number)


class Pruned(NamedTuple):
    """How many events a step has deleted, and whether there is more to do."""

    events: int
    more: bool


class Expired(NamedTuple):
    """Events that go: up to number `through`, and when the newest of them came.

    `received_at_us` is None if that cannot be believed of any of them.
    """

    through: int
    received_at_us: int | None


def expired(
    connection: sqlite3.Connection,
    before_us: int,
    now_us: int,
    excess_bytes: int,
    step: int,
    through_number: int = 0,
) -> Expired | None:
    """Return the beginning of the log that was received before a moment, or is too much.

    Or that has a number up to `through_number`.

    A time after now is that of a clock that was ahead and says nothing: such an event goes with
    those that follow it. One that is within the retention is kept, and all after it, whatever
    times they have. At most `step` events; None if there is nothing. Raises sqlite3.Error.
    """
    rows = connection.execute(
        # Damage may have made any of them NULL: then it goes as soon as it is the oldest.
        "SELECT sequence, ifnull(CAST(received_at_us AS INTEGER), 0),"
        " ifnull(length(frame), 0) + ifnull(length(raw), 0) FROM events"
        f" ORDER BY sequence LIMIT {step}"
    ).fetchall()
    old_through = max(_old_through(connection, before_us, now_us, rows), through_number)
    through = size = 0
    newest_us: int | None = None
    for sequence, received_at_us, bytes_ in rows:
        if sequence > old_through and size >= excess_bytes:
            break
        through = sequence
        size += bytes_ + _ROW_BYTES
        if received_at_us <= now_us:
            newest_us = max(newest_us or 0, received_at_us)
    return Expired(through, newest_us) if through else None


def _old_through(
    connection: sqlite3.Connection, before_us: int, now_us: int, rows: Sequence[_Row]
) -> int:
    """Return the number up to which all of the log's first rows are too old, zero if none is."""
    through = last = 0
    for last, received_at_us, _ in rows:
        if received_at_us < before_us:
            through = last
        elif received_at_us <= now_us:
            return through
    if through == last:
        return through
    # They end with events whose time says nothing: the next one that has a time decides.
    decides = connection.execute(
        "SELECT received_at_us FROM events WHERE sequence > ? AND +received_at_us <= ?"
        " ORDER BY sequence LIMIT 1",
        (last, now_us),
    ).fetchone()
    return last if decides is not None and decides[0] < before_us else through


def newest_believed(times_us: Iterable[int | None], now_us: int) -> int:
    """Return the latest of some times that are not in the future, zero if there is none."""
    return max((it for it in times_us if it is not None and it <= now_us), default=0)
