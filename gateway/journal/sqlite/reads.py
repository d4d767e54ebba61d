"""Reads: what one query of the log looks at, and what it returns.

Each is called with a connection of its own, in a thread for reading, and sees one state of the log.
Raises what is UNREADABLE.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from gateway.journal.errors import OvertakenError
from gateway.journal.events import Entry, Framed
from gateway.journal.filter import Filter
from gateway.journal.reading import (
    READ_BYTES_MAX,
    Batch,
    Measures,
    Page,
    Span,
    StoredEvent,
    Stretch,
    TimeBounds,
)
from gateway.journal.sqlite.faults import DamagedError
from gateway.journal.sqlite.postings import Search, indexed_through
from gateway.schema.event_keys import EventKey

# Events that one step looks at, at the most: a filter that matches nothing in a long log is
# answered in steps, so that it neither blocks a reader for long nor loses its progress, and ends
# soon after the caller has gone.
SCAN_MAX = 20_000

# Entries of the index by time that one step looks at, at the most. They take a twentieth of the
# time that events take.
TIMES_MAX = 100_000

# Events that are looked up by number in one statement.
_LOOKED_UP = 64

# Alternatives that stand side by side in a statement: each is a level deeper than the one before,
# and SQLite refuses what is deeper than a thousand.
_ALTERNATIVES = 500

# Rows that are fetched together, of up to half a megabyte each: quicker than one by one.
_LOT = 16

Parameters: TypeAlias = list[str | int | bytes]


# A place in the index by time: a time in microseconds, and the number of an event.
Place: TypeAlias = tuple[int, int]


class Times(NamedTuple):
    """A step along the index by time: the first and last number in it, and where it ended."""

    first: int | None
    last: int | None
    ended_at: Place | None


def recent(
    connection: sqlite3.Connection, keys: Sequence[EventKey], limit: int, bytes_max: int
) -> list[Entry]:
    """Return the newest events, oldest first."""
    found: list[Entry] = []
    size = 0
    names = "".join(f", {key.name}" for key in keys)
    for sequence, received_at_us, frame, *values in connection.execute(
        f"SELECT sequence, received_at_us, frame{names} FROM events ORDER BY sequence DESC LIMIT ?",
        (limit,),
    ):
        _must_be_bytes(sequence, frame)
        size += len(frame)
        if size > bytes_max:
            break
        found.append(Entry(Framed(sequence, frame), tuple(values), received_at_us))
    return found[::-1]


def read(
    connection: sqlite3.Connection,
    keys: Sequence[EventKey],
    after: int,
    wanted: Filter,
    limit: int,
) -> Batch:
    """Return a step of what comes after a number. Raises OvertakenError."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'pruned_through'").fetchone()
    if row is None:
        raise DamagedError("it lacks pruned_through")
    pruned = int(row[0])
    if pruned > after:
        raise OvertakenError(pruned + 1)
    (newest,) = connection.execute("SELECT max(sequence) FROM events").fetchone()
    stretch = Stretch(after, newest or pruned)
    select = _Select(connection, keys, wanted, TimeBounds(), limit, newest_first=False)
    step = select.step(stretch)
    return Batch(step.frames, max(step.rest.after, after))


def page(
    connection: sqlite3.Connection,
    keys: Sequence[EventKey],
    wanted: Filter,
    bounds: TimeBounds,
    stretch: Stretch,
    limit: int,
    newest_first: bool,
) -> Page:
    """Return a step of a search, from the beginning of a stretch or from its end."""
    # What retention has deleted need not be looked for; where it ends is looked at each time.
    row = connection.execute(
        "SELECT (SELECT min(sequence) FROM events), (SELECT max(sequence) FROM events)"
    ).fetchone()
    oldest, newest = (row[0] or 1, row[1] or 0)
    held = Stretch(max(stretch.after, oldest - 1), min(stretch.through, newest))
    if held.is_empty:
        return Page((), Stretch(stretch.through, stretch.through))
    select = _Select(connection, keys, wanted, bounds, limit, newest_first=newest_first)
    return select.step(held)


class _Select:
    """Reads matching events in the order asked for, up to a limit and READ_BYTES_MAX."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        keys: Sequence[EventKey],
        wanted: Filter,
        bounds: TimeBounds,
        limit: int,
        *,
        newest_first: bool,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._limits = wanted.limits
        self._limit = limit
        self._newest_first = newest_first
        self._condition, self._values = _where(keys, wanted)
        if not bounds.is_everything:
            # The plus keeps the index by time out of it: the stretch is within that time already.
            self._condition += " AND +received_at_us >= ? AND +received_at_us < ?"
            self._values += [bounds.since_us, bounds.until_us]
        self._order = "DESC" if newest_first else "ASC"

    def step(self, stretch: Stretch) -> Page:
        """Return matching events of a stretch that is held, and what of it is left.

        What the index knows is looked up there, and the rest is looked through. A step does one of
        them, so that it ends soon.
        """
        if stretch.is_empty:
            return Page((), stretch)
        indexed = indexed_through(self._connection) if self._limits else 0
        if self._newest_first:
            if stretch.through <= indexed:
                numbers, after = self._indexed(stretch)
                frames, cut = self._among(numbers)
            else:
                after = max(stretch.after, stretch.through - SCAN_MAX, indexed)
                frames, cut = self._between(after, stretch.through)
            return Page(frames, Stretch(stretch.after, frames[-1].sequence - 1 if cut else after))
        if stretch.after < indexed:
            held = Stretch(stretch.after, min(stretch.through, indexed))
            numbers, through = self._indexed(held)
            frames, cut = self._among(numbers)
        else:
            through = min(stretch.through, stretch.after + SCAN_MAX)
            frames, cut = self._between(stretch.after, through)
        return Page(frames, Stretch(frames[-1].sequence if cut else through, stretch.through))

    def _indexed(self, stretch: Stretch) -> tuple[list[int], int]:
        """Return what the index finds in a stretch, and up to where it has looked."""
        search = Search(self._connection, self._keys, self._limits)
        return search.numbers(
            stretch.after, stretch.through, self._limit, newest_first=self._newest_first
        )

    def _between(self, after: int, through: int) -> tuple[list[Framed], bool]:
        """Return events above `after` up to `through`, and whether there may be more of them."""
        return self._run("sequence > ? AND sequence <= ?", [after, through], self._limit)

    def _among(self, numbers: Sequence[int]) -> tuple[list[Framed], bool]:
        """Return those of some events that match, and whether there may be more of them.

        The numbers stand in the order asked for.
        """
        found: list[Framed] = []
        size = start = 0
        while start < len(numbers):
            lot = numbers[start : start + min(_LOOKED_UP, self._limit)]
            start += len(lot)
            marks = ",".join("?" * len(lot))
            more, cut = self._run(f"sequence IN ({marks})", lot, self._limit - len(found))
            found += more
            size += sum(len(it.frame) for it in more)
            while size > READ_BYTES_MAX and len(found) > 1:
                size -= len(found.pop().frame)
                cut = True
            if cut or size > READ_BYTES_MAX:
                return found, True
        return found, False

    def _run(self, which: str, numbers: Sequence[int], limit: int) -> tuple[list[Framed], bool]:
        frames, cut = _frames(
            self._connection,
            f"SELECT sequence, frame FROM events WHERE {which} AND {self._condition}"
            f" ORDER BY sequence {self._order} LIMIT ?",
            [*numbers, *self._values, limit],
        )
        return frames, cut or len(frames) == limit


def find(
    connection: sqlite3.Connection, keys: Sequence[EventKey], event_id: str, visible: Filter
) -> StoredEvent | None:
    """Return an event by its id."""
    condition, values = _where(keys, visible)
    row = connection.execute(
        f"SELECT frame, raw FROM events WHERE id = ? AND {condition}", (event_id, *values)
    ).fetchone()
    if row is None:
        return None
    for stored in row:
        _must_be_bytes(event_id, stored)
    return StoredEvent(*row)


def checkpoint(connection: sqlite3.Connection, name: str) -> bytes | None:
    """Return the value of a checkpoint."""
    row = connection.execute("SELECT value FROM checkpoints WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    if type(row[0]) is not bytes:
        raise DamagedError(f"its checkpoint {name!r} cannot be read")
    return row[0]


def times(connection: sqlite3.Connection, after: Place, until_us: int) -> Times:
    """Return a step along the index by time."""
    entries = (
        "SELECT received_at_us, sequence FROM events"
        " WHERE (received_at_us, sequence) > (?, ?) AND received_at_us < ?"
        " ORDER BY received_at_us, sequence LIMIT ?"
    )
    values = (*after, until_us, TIMES_MAX)
    row = connection.execute(f"SELECT min(sequence), max(sequence) FROM ({entries})", values)
    first, last = row.fetchone()
    end: Place | None = connection.execute(
        f"{entries} OFFSET ?", (*values[:-1], 1, TIMES_MAX - 1)
    ).fetchone()
    return Times(first, last, end)


def received_at(connection: sqlite3.Connection, sequence: int) -> int | None:
    """Return when an event was received, None if it is not held."""
    sql = "SELECT received_at_us FROM events WHERE sequence = ?"
    row = connection.execute(sql, (sequence,)).fetchone()
    return int(row[0]) if row and row[0] is not None else None


def measures(connection: sqlite3.Connection, span: Span, deleted_us: int | None) -> Measures:
    """Return what there is to tell of a log that is known to hold `span`.

    `deleted_us` is when the newest of the events that were deleted was received.
    """
    sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    (size,) = connection.execute(sql).fetchone()
    oldest, newest = (received_at(connection, it) for it in (span.oldest, span.newest))
    return Measures(span, int(size), oldest, newest, deleted_us)


def raw(connection: sqlite3.Connection, sequences: Sequence[int]) -> dict[int, bytes]:
    """Return the signed bytes of the first of some events."""
    order = "DESC" if sequences[0] > sequences[-1] else "ASC"
    marks = ",".join("?" * len(sequences))
    sql = f"SELECT sequence, raw FROM events WHERE sequence IN ({marks}) ORDER BY sequence {order}"
    found, cut = _blobs(connection, sql, sequences)
    last = found[-1][0] if cut else sequences[-1]
    looked_at = sequences[: sequences.index(last) + 1]
    return dict.fromkeys(looked_at, b"") | dict(found)


def _frames(
    connection: sqlite3.Connection, sql: str, values: Parameters
) -> tuple[list[Framed], bool]:
    found, cut = _blobs(connection, sql, values)
    return list(map(Framed._make, found)), cut


def _blobs(
    connection: sqlite3.Connection, sql: str, values: Sequence[str | int | bytes]
) -> tuple[list[tuple[int, bytes]], bool]:
    """Return rows of a number and bytes, and whether there are more than READ_BYTES_MAX allow."""
    found: list[tuple[int, bytes]] = []
    size = 0
    cursor = connection.execute(sql, values)
    while rows := cursor.fetchmany(_LOT):
        for sequence, stored in rows:
            if type(stored) is not bytes:
                _must_be_bytes(sequence, stored)
            size += len(stored)
        found += rows
        if size > READ_BYTES_MAX:
            while size > READ_BYTES_MAX and len(found) > 1:
                size -= len(found.pop()[1])
            return found, True
    return found, False


def _must_be_bytes(name: object, stored: object) -> None:
    # What is damaged within a page may look like a row with other things in it.
    if type(stored) is not bytes:
        raise DamagedError(f"event {name} cannot be read")


def _where(keys: Sequence[EventKey], wanted: Filter) -> tuple[str, Parameters]:
    conditions: list[str] = []
    parameters: Parameters = []
    for key, values, prefixes in wanted.limits:
        name = keys[key].name
        any_of = [f"{name} IN ({','.join('?' * len(values))})"] if values else []
        parameters += values
        # As bytes: in a text, `substr` stops at the first NUL.
        begins = f"substr(CAST({name} AS BLOB), 1, ?) = ?"
        for start in range(0, len(prefixes), _ALTERNATIVES):
            encoded = [it.encode() for it in prefixes[start : start + _ALTERNATIVES]]
            any_of.append(f"({' OR '.join([begins] * len(encoded))})")
            parameters += (value for it in encoded for value in (len(it), it))
        conditions.append(f"({' OR '.join(any_of) or 'FALSE'})")
    return " AND ".join(conditions) or "TRUE", parameters
