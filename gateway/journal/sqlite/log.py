"""The SQLite log behind the interface: writer and readers put together."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.journal.entry import Appended, LogEntry, NewEvent
from gateway.journal.filter import Filter
from gateway.journal.log import (
    NOBODY,
    Asker,
    Batch,
    Complete,
    Listener,
    LogInfo,
    Page,
    Span,
    StoredEvent,
    Stretch,
    TimeBounds,
)
from gateway.journal.sqlite.opening import OpenFiles, open_files
from gateway.journal.sqlite.reader import LogReader
from gateway.journal.sqlite.writer import Committed, GroupWriter, Retention
from gateway.schema.event_keys import EventKey


class SqliteEventLog:
    """An `EventLog` in one SQLite file. Use `open`.

    `now` gives the time in seconds since 1970 that decides what is old enough to be deleted.
    """

    def __init__(
        self,
        opened: OpenFiles,
        keys: Sequence[EventKey],
        retention: Retention,
        now: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._retention = retention
        self._now = now
        self._opened = opened
        self._listeners: list[Listener] = []
        self._writer = GroupWriter(opened, keys, asyncio.get_running_loop(), self._committed)
        self._state = self._writer.state
        self._reader = LogReader(opened.files.database, keys, opened.watch)

    @classmethod
    async def open(
        cls,
        path: Path,
        keys: Sequence[EventKey],
        retention: Retention,
        now: Callable[[], float],
    ) -> "SqliteEventLog":
        """Open the log, making it first where there is none; `keys` are what events are found by.

        Raises LogOpenError.
        """
        opened = open_files(path, keys, retention.size_bytes)
        try:
            log = cls(opened, keys, retention, now)
        except BaseException:
            opened.close()
            raise
        log._writer.start()
        return log

    @property
    def keys(self) -> Sequence[EventKey]:
        """See `EventLog.keys`."""
        return self._keys

    @property
    def epoch(self) -> bytes:
        """See `EventLog.epoch`."""
        return self._writer.epoch

    @property
    def span(self) -> Span:
        """See `EventLog.span`."""
        return self._state.span

    @property
    def complete(self) -> Complete | None:
        """See `EventLog.complete`."""
        return self._state.complete

    async def mark_complete(self, until_us: int) -> None:
        """See `EventLog.mark_complete`."""
        await self._writer.mark_complete(until_us)

    async def correct_complete(self, complete: Complete) -> None:
        """See `EventLog.correct_complete`."""
        await self._writer.correct_complete(complete)

    @property
    def problem(self) -> str | None:
        """See `EventLog.problem`."""
        return self._writer.problem

    def listen(self, listener: Listener) -> None:
        """See `EventLog.listen`."""
        self._listeners.append(listener)

    async def append(self, event: NewEvent) -> Appended:
        """See `EventLog.append`."""
        return await self._writer.append(event)

    async def read(self, after: int, wanted: Filter, limit: int) -> Batch:
        """See `EventLog.read`."""
        return await self._reader.read(after, wanted, limit)

    async def recent(self, limit: int, bytes_max: int) -> Sequence[LogEntry]:
        """See `EventLog.recent`."""
        return await self._reader.recent(limit, bytes_max)

    async def stretch(self, bounds: TimeBounds, asker: Asker = NOBODY) -> Stretch:
        """See `EventLog.stretch`."""
        if bounds.is_everything:
            return Stretch(self.span.oldest - 1, self.span.newest)
        return await self._reader.stretch(bounds, asker)

    async def page(
        self,
        wanted: Filter,
        bounds: TimeBounds,
        stretch: Stretch,
        limit: int,
        *,
        newest_first: bool,
        asker: Asker = NOBODY,
    ) -> Page:
        """See `EventLog.page`."""
        return await self._reader.page(wanted, bounds, stretch, limit, newest_first, asker)

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        """See `EventLog.raw`."""
        return await self._reader.raw(sequences, asker)

    async def find(self, event_id: str, asker: Asker = NOBODY) -> StoredEvent | None:
        """See `EventLog.find`."""
        return await self._reader.find(event_id, asker)

    async def first_received_since(self, moment_us: int) -> int:
        """See `EventLog.first_received_since`."""
        return await self._reader.first_received_since(moment_us, self.span)

    async def info(self, asker: Asker = NOBODY) -> LogInfo:
        """See `EventLog.info`."""
        state = self._state
        measures = await self._reader.measures(state.span, asker)
        return LogInfo(
            span=state.span,
            size_bytes=measures.size_bytes,
            oldest_received_at_us=measures.oldest_received_at_us,
            newest_received_at_us=measures.newest_received_at_us,
            retention_age_s=self._retention.age_s,
            retention_bytes=self._retention.size_bytes,
            backend="sqlite",
            deleted_received_at_us=state.deleted_received_at_us,
        )

    async def prune(self) -> int:
        """See `EventLog.prune`. Appends get their turn between the steps."""
        now_us = round(self._now() * 1e6)
        before_us = now_us - round(self._retention.age_s * 1e6)
        total = 0
        while True:
            pruned = await self._writer.prune(before_us, now_us)
            total += pruned.events
            if not pruned.more:
                return total

    async def close(self) -> None:
        """See `EventLog.close`."""
        # The writer last: the last connection to go folds the write-ahead log into the file, which
        # a reader may not.
        await self._reader.close()
        await self._writer.stop()
        self._opened.close()

    def _committed(self, committed: Committed) -> None:
        self._state = committed
        if committed.entries:
            for listener in self._listeners:
                listener(committed.entries)
