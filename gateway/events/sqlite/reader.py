"""Readers: stretches of the log, read beside the writer."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias, TypeVar

from gateway.events.entry import EventKeys, LogEntry, StoredFrame
from gateway.events.filter import KEY_NAMES, Filter
from gateway.events.log import (
    Batch,
    LogUnavailableError,
    Page,
    StoredEvent,
    Stretch,
    TimeBounds,
)
from gateway.events.sqlite.faults import UNREADABLE, DamagedError, described
from gateway.events.sqlite.files import FileWatch
from gateway.events.sqlite.schema import open_for_reading

# Threads that read stretches of the log; further readers wait their turn, after each step.
READERS = 4

# Threads that look up single events: whoever asks for one must not wait for those who search.
FINDERS = 2

# Events that one step looks at, at the most: a filter that matches nothing in a long log is
# answered in steps, so that it neither blocks a reader for long nor loses its progress, and ends
# soon after the caller has gone.
SCAN_MAX = 20_000

_KEYS = ", ".join(EventKeys._fields)

R = TypeVar("R")
Parameters: TypeAlias = list[str | int | bytes]


class LogReader:
    """Reads with a few threads, each with a connection of its own."""

    def __init__(self, database: Path, watch: FileWatch) -> None:
        self._database = database
        self._watch = watch
        self._scanners = ThreadPoolExecutor(READERS, "event-log-scanner")
        self._finders = ThreadPoolExecutor(FINDERS, "event-log-finder")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def read(self, after: int, wanted: Filter, limit: int) -> Batch:
        """See `EventLog.read`."""
        return await self._scan(lambda connection: _read(connection, after, wanted, limit))

    async def recent(self, limit: int, bytes_max: int) -> Sequence[LogEntry]:
        """See `EventLog.recent`."""
        return await self._scan(lambda connection: _recent(connection, limit, bytes_max))

    async def stretch(self, bounds: TimeBounds) -> Stretch:
        """See `EventLog.stretch`."""
        # Clocks are set back, so the first in time need not be the first in the log; the index
        # holds both numbers and is all that is read.
        sql = (
            "SELECT min(sequence) - 1, max(sequence) FROM events"
            " WHERE received_at_us >= ? AND received_at_us < ?"
        )
        values = (bounds.since_us, bounds.until_us)
        row = await self._scan(lambda connection: connection.execute(sql, values).fetchone())
        return Stretch(*row) if row[0] is not None else Stretch(0, 0)

    async def page(
        self, wanted: Filter, bounds: TimeBounds, stretch: Stretch, limit: int, newest_first: bool
    ) -> Page:
        """See `EventLog.page`."""
        return await self._scan(
            lambda connection: _page(connection, wanted, bounds, stretch, limit, newest_first)
        )

    async def raw(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """See `EventLog.raw`."""
        marks = ",".join("?" * len(sequences))
        sql = f"SELECT sequence, raw FROM events WHERE sequence IN ({marks})"
        return await self._look_up(
            lambda connection: dict(_blobs(connection, sql, list(sequences)))
        )

    async def find(self, event_id: str) -> StoredEvent | None:
        """See `EventLog.find`."""
        return await self._look_up(lambda connection: _find(connection, event_id))

    async def first_received_since(self, moment_us: int, otherwise: int) -> int:
        """See `EventLog.first_received_since`; `otherwise` is returned if there is none."""
        # The clock may have been set back between events, so the first in time need not be the
        # first in the log; the index holds both numbers and is all that is read.
        sql = "SELECT min(sequence) FROM events WHERE received_at_us >= ?"
        row = await self._scan(lambda connection: connection.execute(sql, (moment_us,)).fetchone())
        return int(row[0]) if row[0] is not None else otherwise

    async def received_at(self, sequence: int) -> int | None:
        """Return when the event with this number was received, None if it is not held."""
        sql = "SELECT received_at_us FROM events WHERE sequence = ?"
        row = await self._look_up(
            lambda connection: connection.execute(sql, (sequence,)).fetchone()
        )
        return int(row[0]) if row and row[0] is not None else None

    async def size_bytes(self) -> int:
        """Return how large the database is, what is free in it included."""
        sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        row = await self._look_up(lambda connection: connection.execute(sql).fetchone())
        return int(row[0])

    async def close(self) -> None:
        """End the threads and close their connections."""
        for threads in (self._scanners, self._finders):
            await asyncio.to_thread(threads.shutdown)
        for connection in self._connections:
            connection.close()

    async def _scan(self, query: Callable[[sqlite3.Connection], R]) -> R:
        return await self._run(self._scanners, query)

    async def _look_up(self, query: Callable[[sqlite3.Connection], R]) -> R:
        return await self._run(self._finders, query)

    async def _run(
        self, threads: ThreadPoolExecutor, query: Callable[[sqlite3.Connection], R]
    ) -> R:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(threads, self._query, query)
        except UNREADABLE as error:
            told = described(error, self._database)
            raise LogUnavailableError(f"the event log cannot be read: {told}") from error
        except RuntimeError as error:  # the threads have been shut down
            raise LogUnavailableError("the event log is closed") from error

    def _query(self, query: Callable[[sqlite3.Connection], R]) -> R:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = open_for_reading(self._database)
            # The name may lead to another file by now.
            self._watch.check_database()
            self._local.connection = connection
            self._connections.append(connection)
        # One snapshot for all statements of a query.
        connection.execute("BEGIN")
        try:
            return query(connection)
        finally:
            connection.rollback()


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
    frames = _frames(
        connection,
        f"SELECT sequence, frame FROM events WHERE {condition} AND sequence > ? AND sequence <= ?"
        " ORDER BY sequence LIMIT ?",
        [*parameters, after, through, limit],
    )
    if len(frames) == limit:
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
    frames = _frames(
        connection,
        # The plus keeps the index by time out of it: the stretch is within that time already.
        f"SELECT sequence, frame FROM events WHERE {condition} AND +received_at_us >= ?"
        " AND +received_at_us < ? AND sequence > ? AND sequence <= ?"
        f" ORDER BY sequence {'DESC' if newest_first else 'ASC'} LIMIT ?",
        [*parameters, bounds.since_us, bounds.until_us, after, through, limit],
    )
    if newest_first:
        rest_through = frames[-1].sequence - 1 if len(frames) == limit else after
        return Page(frames, Stretch(stretch.after, rest_through))
    rest_after = frames[-1].sequence if len(frames) == limit else through
    return Page(frames, Stretch(rest_after, stretch.through))


def _find(connection: sqlite3.Connection, event_id: str) -> StoredEvent | None:
    row = connection.execute("SELECT frame, raw FROM events WHERE id = ?", (event_id,)).fetchone()
    if row is None:
        return None
    for stored in row:
        _must_be_bytes(event_id, stored)
    return StoredEvent(*row)


def _frames(connection: sqlite3.Connection, sql: str, values: Parameters) -> list[StoredFrame]:
    return list(map(StoredFrame._make, _blobs(connection, sql, values)))


def _blobs(
    connection: sqlite3.Connection, sql: str, values: Sequence[str | int | bytes]
) -> list[tuple[int, bytes]]:
    rows = connection.execute(sql, values).fetchall()
    for sequence, stored in rows:
        _must_be_bytes(sequence, stored)
    return rows


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
