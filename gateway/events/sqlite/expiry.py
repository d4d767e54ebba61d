"""Expiry: how far retention reaches into the log, a step at a time.

What goes is always a beginning of the log, whatever the clock did: what is held has no holes. The
log's order is the order of arrival; the times in it are those of a clock that may have been set.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

# Events looked at in one step, so that appends wait for milliseconds at the most.
PRUNE_STEP = 1_000

# (sequence, received_at_us, size in bytes)
_Row: TypeAlias = tuple[int, int, int]


class Expired(NamedTuple):
    """Events that go: up to number `through`, how many bytes they take, and when the last came."""

    through: int
    size_bytes: int
    received_at_us: int


def expired(connection: sqlite3.Connection, before_us: int, excess_bytes: int) -> Expired | None:
    """Return the beginning of the log that is too old, or too much by so many bytes.

    Too old is what was received before a moment, and what stands before such an event: it was
    received earlier, by whatever clock. At most a step; None if there is nothing. Raises
    sqlite3.Error.
    """
    rows = connection.execute(
        "SELECT sequence, received_at_us, length(frame) + length(raw) FROM events"
        f" ORDER BY sequence LIMIT {PRUNE_STEP}"
    ).fetchall()
    old_through = _old_through(connection, before_us, rows)
    found: Expired | None = None
    size = 0
    for sequence, received_at_us, bytes_ in rows:
        if sequence > old_through and size >= excess_bytes:
            break
        size += bytes_
        found = Expired(sequence, size, received_at_us)
    if found is None:
        return None
    # What is held after it was received later; so a clock that was ahead is found out.
    (held_us,) = connection.execute(
        "SELECT min(received_at_us) FROM events WHERE sequence > ?", (found.through,)
    ).fetchone()
    if held_us is None or held_us > found.received_at_us:
        return found
    return found._replace(received_at_us=held_us)


def _old_through(connection: sqlite3.Connection, before_us: int, rows: Sequence[_Row]) -> int:
    """Return the number up to which all of the log's first rows are too old, zero if none is."""
    if not rows:
        return 0
    last = rows[-1][0]
    # By time the oldest come first, so one that stands further on is found, or found not to be
    # there, within about a step.
    (follows,) = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM events WHERE received_at_us < ? AND sequence > ?)",
        (before_us, last),
    ).fetchone()
    if follows:
        return last
    return max((number for number, at, _ in rows if at < before_us), default=0)
