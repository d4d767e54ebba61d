"""The ports on one SQLite file: writer and readers put together."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from gateway.journal.alone import HeldForEver, NobodyElse
from gateway.journal.checkpoint import Checkpoint
from gateway.journal.errors import OutdatedError
from gateway.journal.events import Appended, Entry, NewEvent
from gateway.journal.filter import Filter
from gateway.journal.format import EventFormat
from gateway.journal.moves import AS_IT_WAS, Opening
from gateway.journal.ports import EventLog, Listener
from gateway.journal.reading import (
    NOBODY,
    Asker,
    Batch,
    Measures,
    Page,
    Span,
    StoredEvent,
    Stretch,
    TimeBounds,
)
from gateway.journal.retention import Retention
from gateway.journal.sqlite.birth import Birth, birth_of
from gateway.journal.sqlite.expiry import Bounds
from gateway.journal.sqlite.opening import open_files
from gateway.journal.sqlite.reader import LogReader
from gateway.journal.sqlite.writer import GroupWriter
from gateway.records.commits import CommitEnded
from gateway.records.observer import Observer, ignore
from gateway.schema.event_keys import EventKey

Forget: TypeAlias = Callable[[int], Awaitable[None]]
"""Deletes the events with numbers up to one. Raises LogUnavailableError."""


async def open_log(
    path: Path,
    format_: EventFormat,
    observe: Observer[CommitEnded] = ignore,
    birth_of: Callable[[int], Birth] = birth_of,
    opening: Opening = AS_IT_WAS,
) -> EventLog:
    """Open the log in a file, making it first where there is none. Raises LogOpenError.

    One that is a copy gets a new epoch; `birth_of` tells of an open file which one it is. `observe`
    is told of each commit of events. `opening` says what a log is made with, and whether one that
    does not live is opened.
    """
    opened = open_files(path, format_, birth_of, opening)
    try:
        writer = GroupWriter(opened, format_, asyncio.get_running_loop(), observe)
        reader = LogReader(opened.files.database, format_.keys, opened.watch)
    except BaseException:
        opened.close()
        raise

    async def close() -> None:
        # The writer last: the last connection to go folds the write-ahead log into the file, which
        # a reader may not.
        await reader.close()
        await writer.stop()
        opened.close()

    writer.start()
    return EventLog(
        "sqlite",
        SqliteJournal(writer),
        SqliteIndex(format_.keys, writer, reader),
        SqliteCheckpoints(writer, reader),
        NobodyElse(),
        HeldForEver(),
        close,
    )


class SqliteJournal:
    """A `Journal` in a file."""

    def __init__(self, writer: GroupWriter) -> None:
        self._writer = writer

    @property
    def epoch(self) -> bytes:
        """See `Journal.epoch`."""
        return self._writer.epoch

    @property
    def span(self) -> Span:
        """See `Journal.span`."""
        return self._writer.state.span

    @property
    def problem(self) -> str | None:
        """See `Journal.problem`."""
        return self._writer.problem

    async def append(self, event: NewEvent) -> Appended:
        """See `Journal.append`."""
        return await self._writer.append(event)


class SqliteIndex:
    """An `Index` in the journal's own file, or in that of a copy.

    Where it is a copy, `forget` deletes up to a number at the journal, too.
    """

    def __init__(
        self,
        keys: Sequence[EventKey],
        writer: GroupWriter,
        reader: LogReader,
        forget: Forget | None = None,
    ) -> None:
        self._keys = keys
        self._writer = writer
        self._reader = reader
        self._forget = forget

    @property
    def keys(self) -> Sequence[EventKey]:
        """See `Index.keys`."""
        return self._keys

    @property
    def epoch(self) -> bytes:
        """See `Index.epoch`."""
        return self._writer.epoch

    @property
    def span(self) -> Span:
        """See `Index.span`."""
        return self._writer.state.span

    def listen(self, listener: Listener) -> None:
        """See `Index.listen`. It is called before the append returns that brought the entries."""
        self._writer.listen(listener)

    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        """See `Index.read`."""
        return await self._reader.read(after, wanted.within(visible), limit)

    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        """See `Index.recent`."""
        return await self._reader.recent(limit, bytes_max)

    async def stretch(self, bounds: TimeBounds, asker: Asker = NOBODY) -> Stretch:
        """See `Index.stretch`."""
        if bounds.is_everything:
            return Stretch(self.span.oldest - 1, self.span.newest)
        return await self._reader.stretch(bounds, asker)

    async def page(
        self,
        wanted: Filter,
        bounds: TimeBounds,
        stretch: Stretch,
        limit: int,
        visible: Filter,
        *,
        newest_first: bool,
        asker: Asker = NOBODY,
    ) -> Page:
        """See `Index.page`."""
        seen = wanted.within(visible)
        return await self._reader.page(seen, bounds, stretch, limit, newest_first, asker)

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        """See `Index.raw`."""
        return await self._reader.raw(sequences, asker)

    async def find(
        self, event_id: str, visible: Filter, asker: Asker = NOBODY
    ) -> StoredEvent | None:
        """See `Index.find`."""
        return await self._reader.find(event_id, visible, asker)

    async def first_received_since(self, moment_us: int) -> int:
        """See `Index.first_received_since`."""
        return await self._reader.first_received_since(moment_us, self.span)

    async def measures(self, asker: Asker = NOBODY) -> Measures:
        """See `Index.measures`."""
        state = self._writer.state
        return await self._reader.measures(state.span, state.deleted_received_at_us, asker)

    async def prune(self, retention: Retention, now: float) -> int:
        """See `Index.prune`. Appends get their turn between the steps."""
        bounds, total = Bounds.of(retention, now), 0
        while True:
            pruned = await self._writer.prune(bounds)
            total += pruned.events
            if not pruned.more:
                break
        if self._forget is not None:
            await self._forget(self.span.oldest - 1)
        return total


class SqliteCheckpoints:
    """`Checkpoints` in a table of the same file.

    Only this process sets them. So revisions need not outlive it: they are counted in memory.
    """

    def __init__(self, writer: GroupWriter, reader: LogReader) -> None:
        self._writer = writer
        self._reader = reader
        self._revisions: Counter[str] = Counter()
        # Of each name: a value and its revision are set, and read, together.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, name: str) -> bytes | None:
        """See `Checkpoints.get`."""
        return await self._reader.checkpoint(name)

    async def read(self, name: str) -> Checkpoint:
        """See `Checkpoints.read`."""
        async with self._turns[name]:
            return Checkpoint(await self._reader.checkpoint(name), self._revisions[name])

    async def set(self, name: str, value: bytes) -> None:
        """See `Checkpoints.set`."""
        async with self._turns[name]:
            await self._set(name, value)

    async def replace(self, name: str, value: bytes, revision: int) -> int:
        """See `Checkpoints.replace`."""
        async with self._turns[name]:
            if self._revisions[name] != revision:
                raise OutdatedError(f"the checkpoint {name} has been set meanwhile")
            return await self._set(name, value)

    async def _set(self, name: str, value: bytes) -> int:
        # Before it is known whether that succeeds: if it does not, it may have been kept.
        self._revisions[name] += 1
        await self._writer.checkpoint(name, value)
        return self._revisions[name]
