"""Readers: stretches of the log, read beside the writer."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from gateway.events.entry import EventKeys, LogEntry, StoredFrame
from gateway.events.filter import KEY_NAMES, Filter
from gateway.events.log import (
    NOBODY,
    READ_BYTES_MAX,
    Asker,
    Batch,
    LogUnavailableError,
    Page,
    Span,
    StoredEvent,
    Stretch,
    TimeBounds,
)
from gateway.events.sqlite.faults import UNREADABLE, DamagedError, described
from gateway.events.sqlite.schema import open_for_reading
from gateway.events.sqlite.threads import Query, R, ReadingThreads
from gateway.events.sqlite.watch import FileWatch

# Threads that read for those who follow the log; further ones wait their turn, after each step.
# Nobody is refused: each stream has one read at a time.
READERS = 4

# Threads that search. They compete with the event loop for processors, and those who search for
# much need not be quick.
SEARCHERS = 2

# Searches that wait for one of these. A step takes 5 to 40 ms, so that a new search, which goes
# before those that go on, waits for a few seconds at the worst. Whoever comes later is refused.
SEARCHES_WAITING_MAX = 256

# Threads that look up single events: whoever asks for one must not wait for those who search.
FINDERS = 2

# Look-ups that wait for one of these. Each takes some 0.1 ms.
LOOK_UPS_WAITING_MAX = 1_000

# Events that one step looks at, at the most: a filter that matches nothing in a long log is
# answered in steps, so that it neither blocks a reader for long nor loses its progress, and ends
# soon after the caller has gone.
SCAN_MAX = 20_000

# Entries of the index by time that one step looks at, at the most. They take a twentieth of the
# time that events take.
TIMES_MAX = 100_000

# Rows that are fetched together, of up to half a megabyte each: quicker than one by one.
_LOT = 16

_KEYS = ", ".join(EventKeys._fields)

Parameters: TypeAlias = list[str | int | bytes]


class Measures(NamedTuple):
    """The size of the database in bytes, and when its first and last event were received."""

    size_bytes: int
    oldest_received_at_us: int | None
    newest_received_at_us: int | None


# A place in the index by time: a time in microseconds, and the number of an event.
_Place: TypeAlias = tuple[int, int]


class _Times(NamedTuple):
    """A step along the index by time: the first and last number in it, and where it ended."""

    first: int | None
    last: int | None
    ended_at: _Place | None


class LogReader:
    """Reads with a few threads, each with a connection of its own."""

    def __init__(self, database: Path, watch: FileWatch) -> None:
        self._database = database
        self._watch = watch
        self._followers = ReadingThreads("follower", READERS, self._connect)
        self._searchers = ReadingThreads("searcher", SEARCHERS, self._connect, SEARCHES_WAITING_MAX)
        self._finders = ReadingThreads("finder", FINDERS, self._connect, LOOK_UPS_WAITING_MAX)

    async def read(self, after: int, wanted: Filter, limit: int) -> Batch:
        """See `EventLog.read`."""
        return await self._run(
            self._followers, lambda connection: _read(connection, after, wanted, limit)
        )

    async def recent(self, limit: int, bytes_max: int) -> Sequence[LogEntry]:
        """See `EventLog.recent`."""
        return await self._run(
            self._followers, lambda connection: _recent(connection, limit, bytes_max)
        )

    async def stretch(self, bounds: TimeBounds, asker: Asker) -> Stretch:
        """See `EventLog.stretch`."""
        first, last = await self._extent(self._searchers, bounds, asker)
        return Stretch(first - 1, last) if last else Stretch(0, 0)

    async def page(
        self,
        wanted: Filter,
        bounds: TimeBounds,
        stretch: Stretch,
        limit: int,
        newest_first: bool,
        asker: Asker,
    ) -> Page:
        """See `EventLog.page`."""
        return await self._run(
            self._searchers,
            lambda connection: _page(connection, wanted, bounds, stretch, limit, newest_first),
            asker,
        )

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        """See `EventLog.raw`."""
        threads = self._followers if asker is None else self._finders
        return await self._run(
            threads, lambda connection: _raw(connection, sequences), asker or NOBODY
        )

    async def find(self, event_id: str, asker: Asker) -> StoredEvent | None:
        """See `EventLog.find`."""
        return await self._run(self._finders, lambda connection: _find(connection, event_id), asker)

    async def first_received_since(self, moment_us: int, span: Span) -> int:
        """See `EventLog.first_received_since`; the log is known to hold `span`."""
        received = await self._run(
            self._followers, lambda connection: _received_at(connection, span.oldest)
        )
        if received is not None and received >= moment_us:
            return span.oldest  # as for those who want everything, without looking at all of it
        first, last = await self._extent(self._followers, TimeBounds(moment_us), NOBODY)
        return first if last else span.newest + 1

    async def measures(self, span: Span, asker: Asker) -> Measures:
        """Return what there is to tell of the log, which is known to hold `span`."""
        return await self._run(self._finders, lambda connection: _measures(connection, span), asker)

    async def close(self) -> None:
        """End the threads and close their connections."""
        for threads in (self._followers, self._searchers, self._finders):
            await threads.close()

    async def _extent(
        self, threads: ReadingThreads, bounds: TimeBounds, asker: Asker
    ) -> tuple[int, int]:
        """Return the first and the last number received within a time, zeros if there is none."""
        # Clocks are set back, so the first in time need not be the first in the log; the index
        # holds both numbers and is all that is read, in steps.
        found: list[int] = []
        place: _Place | None = (bounds.since_us, 0)
        while place is not None:
            query = partial(_times, after=place, until_us=bounds.until_us)
            first, last, place = await self._run(threads, query, asker)
            if first is not None and last is not None:
                found = [min([first, *found]), max([last, *found])]
            asker = asker._replace(turns=asker.turns + 1)
        return (found[0], found[1]) if found else (0, 0)

    async def _run(self, threads: ReadingThreads, query: Query[R], asker: Asker = NOBODY) -> R:
        try:
            return await threads.run(query, asker)
        except UNREADABLE as error:
            told = self._watch.harm or described(error, self._database)
            raise LogUnavailableError(f"the event log cannot be read: {told}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = open_for_reading(self._database)
        # The name may lead to another file by now.
        self._watch.check_database()
        return connection


def _recent(connection: sqlite3.Connection, limit: int, bytes_max: int) -> list[LogEntry]:
    found: list[LogEntry] = []
    size = 0
    for sequence, frame, *keys in connection.execute(
        f"SELECT sequence, frame, {_KEYS} FROM events ORDER BY sequence DESC LIMIT ?", (limit,)
    ):
        _must_be_bytes(sequence, frame)
        size += len(frame)
        if size > bytes_max:
            break
        found.append(LogEntry(StoredFrame(sequence, frame), EventKeys(*keys)))
    return found[::-1]


def _read(connection: sqlite3.Connection, after: int, wanted: Filter, limit: int) -> Batch:
    row = connection.execute("SELECT value FROM meta WHERE key = 'pruned_through'").fetchone()
    if row is None:
        raise DamagedError("it lacks pruned_through")
    pruned = int(row[0])
    (newest,) = connection.execute("SELECT max(sequence) FROM events").fetchone()
    through = min(max(after, pruned) + SCAN_MAX, newest or pruned)
    condition, parameters = _where(wanted)
    frames, cut = _frames(
        connection,
        f"SELECT sequence, frame FROM events WHERE {condition} AND sequence > ? AND sequence <= ?"
        " ORDER BY sequence LIMIT ?",
        [*parameters, after, through, limit],
    )
    if cut or len(frames) == limit:
        through = frames[-1].sequence
    return Batch(frames, max(through, after), pruned + 1)


def _page(
    connection: sqlite3.Connection,
    wanted: Filter,
    bounds: TimeBounds,
    stretch: Stretch,
    limit: int,
    newest_first: bool,
) -> Page:
    after, through = stretch.after, stretch.through
    if newest_first:
        after = max(after, through - SCAN_MAX)
    else:
        through = min(through, after + SCAN_MAX)
    condition, parameters = _where(wanted)
    frames, cut = _frames(
        connection,
        # The plus keeps the index by time out of it: the stretch is within that time already.
        f"SELECT sequence, frame FROM events WHERE {condition} AND +received_at_us >= ?"
        " AND +received_at_us < ? AND sequence > ? AND sequence <= ?"
        f" ORDER BY sequence {'DESC' if newest_first else 'ASC'} LIMIT ?",
        [*parameters, bounds.since_us, bounds.until_us, after, through, limit],
    )
    cut = cut or len(frames) == limit
    if newest_first:
        rest_through = frames[-1].sequence - 1 if cut else after
        return Page(frames, Stretch(stretch.after, rest_through))
    rest_after = frames[-1].sequence if cut else through
    return Page(frames, Stretch(rest_after, stretch.through))


def _find(connection: sqlite3.Connection, event_id: str) -> StoredEvent | None:
    row = connection.execute("SELECT frame, raw FROM events WHERE id = ?", (event_id,)).fetchone()
    if row is None:
        return None
    for stored in row:
        _must_be_bytes(event_id, stored)
    return StoredEvent(*row)


def _times(connection: sqlite3.Connection, after: _Place, until_us: int) -> _Times:
    entries = (
        "SELECT received_at_us, sequence FROM events"
        " WHERE (received_at_us, sequence) > (?, ?) AND received_at_us < ?"
        " ORDER BY received_at_us, sequence LIMIT ?"
    )
    values = (*after, until_us, TIMES_MAX)
    row = connection.execute(f"SELECT min(sequence), max(sequence) FROM ({entries})", values)
    first, last = row.fetchone()
    end: _Place | None = connection.execute(
        f"{entries} OFFSET ?", (*values[:-1], 1, TIMES_MAX - 1)
    ).fetchone()
    return _Times(first, last, end)


def _received_at(connection: sqlite3.Connection, sequence: int) -> int | None:
    sql = "SELECT received_at_us FROM events WHERE sequence = ?"
    row = connection.execute(sql, (sequence,)).fetchone()
    return int(row[0]) if row and row[0] is not None else None


def _measures(connection: sqlite3.Connection, span: Span) -> Measures:
    sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    (size,) = connection.execute(sql).fetchone()
    oldest, newest = (_received_at(connection, it) for it in (span.oldest, span.newest))
    return Measures(int(size), oldest, newest)


def _raw(connection: sqlite3.Connection, sequences: Sequence[int]) -> dict[int, bytes]:
    order = "DESC" if sequences[0] > sequences[-1] else "ASC"
    marks = ",".join("?" * len(sequences))
    sql = f"SELECT sequence, raw FROM events WHERE sequence IN ({marks}) ORDER BY sequence {order}"
    found, cut = _blobs(connection, sql, sequences)
    last = found[-1][0] if cut else sequences[-1]
    looked_at = sequences[: sequences.index(last) + 1]
    return dict.fromkeys(looked_at, b"") | dict(found)


def _frames(
    connection: sqlite3.Connection, sql: str, values: Parameters
) -> tuple[list[StoredFrame], bool]:
    found, cut = _blobs(connection, sql, values)
    return list(map(StoredFrame._make, found)), cut


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


def _where(wanted: Filter) -> tuple[str, Parameters]:
    conditions: list[str] = []
    parameters: Parameters = []
    kinds: list[str] = []
    if wanted.types:
        kinds.append(f"type IN ({','.join('?' * len(wanted.types))})")
        parameters += wanted.types
    for prefix in wanted.type_prefixes:
        # As bytes: in a text, `substr` stops at the first NUL.
        encoded = prefix.encode()
        kinds.append("substr(CAST(type AS BLOB), 1, ?) = ?")
        parameters += [len(encoded), encoded]
    if kinds:
        conditions.append(f"({' OR '.join(kinds)})")
    for name in KEY_NAMES:
        values: frozenset[str] = getattr(wanted, name)
        if values:
            conditions.append(f"{name} IN ({','.join('?' * len(values))})")
            if name == "conference_id":
                conditions.append("conference_id <> ''")  # lets its partial index be used
            parameters += values
    return " AND ".join(conditions) or "TRUE", parameters
