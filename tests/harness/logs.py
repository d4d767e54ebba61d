"""A log in a file that a test may close and open again."""

import asyncio
import sqlite3
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from conferencing.v1.event_pb2 import Event
from gateway.feed.frames import event_of
from gateway.journal.events import Framed, NewEvent
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.format import EventFormat
from gateway.journal.ports import EventLog
from gateway.journal.reading import Measures
from gateway.journal.retention import Retention
from gateway.journal.sqlite import open_log
from gateway.journal.sqlite.log import SqliteIndex, SqliteJournal
from gateway.journal.sqlite.reader import LogReader
from gateway.journal.sqlite.writer import GroupWriter
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT
from tests.harness.loop import LoopThread

T = TypeVar("T")

DAY = 86_400
PLENTY = Retention(7 * DAY, 2**40)

# SQLite's own bound, in pages.
_PAGES_MAX = 1_073_741_823


class OpenLog:
    """A log that a test may close and open again. It is pruned by `retention` and `clock`."""

    def __init__(
        self,
        loop: LoopThread,
        path: Path,
        clock: ManualClock | None = None,
        retention: Retention = PLENTY,
        format_: EventFormat = FORMAT,
    ) -> None:
        self._loop, self._path = loop, path
        self.clock, self.retention, self.format = clock or ManualClock(), retention, format_
        self.is_open = False
        self.open()

    def open(self) -> None:
        self.log = self._loop.run(open_log(self._path, self.format))
        self.journal, self.index = self.log.journal, self.log.index
        self.checkpoints = self.log.checkpoints
        self.is_open = True

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._loop.run(self.log.close())

    def reopen(self) -> None:
        self.close()
        self.open()

    def append(self, *events: NewEvent) -> list[tuple[int, bool]]:
        async def all_at_once() -> list[tuple[int, bool]]:
            done = await asyncio.gather(*map(self.journal.append, events))
            return [(it.sequence, it.duplicate) for it in done]

        return self._loop.run(all_at_once())

    def read(
        self, after: int | None = None, wanted: Filter = EVERYTHING, limit: int = 1_000
    ) -> list[Framed]:
        """Read on after a number, by default from the oldest event that is held."""
        after = self.index.span.oldest - 1 if after is None else after
        return list(self._loop.run(self.index.read(after, wanted, limit, EVERYTHING)).frames)

    def pruning(self) -> Coroutine[Any, Any, int]:
        return self.index.prune(self.retention, self.clock())

    def prune(self) -> int:
        return self._loop.run(self.pruning())

    def measures(self) -> Measures:
        return self._loop.run(self.index.measures())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(coroutine)

    @property
    def connection(self) -> sqlite3.Connection:
        return connection_of(self.log)


def writer_of(log: EventLog) -> GroupWriter:
    """Return what stores into a log in a file."""
    assert isinstance(log.journal, SqliteJournal)
    return log.journal._writer


def connection_of(log: EventLog) -> sqlite3.Connection:
    """Return the connection that stores into a log in a file."""
    return writer_of(log)._connection


@contextmanager
def full_disk(log: EventLog) -> Iterator[None]:
    """Have a log in a file meet what a full disk looks like: no page more than there are."""
    connection = connection_of(log)
    connection.execute("PRAGMA max_page_count = 1")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA max_page_count = {_PAGES_MAX}")


def reader_of(log: EventLog) -> LogReader:
    """Return what reads from a log in a file."""
    assert isinstance(log.index, SqliteIndex)
    return log.index._reader


def ids(entries: list[Framed]) -> list[str]:
    """Return the events' ids."""
    return [Event.FromString(event_of(entry.frame)).id for entry in entries]
