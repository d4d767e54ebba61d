"""A log whose commits are on disk and can be read, but told only when a test says so."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.feed.window import Window
from gateway.journal.ports import EventLog
from gateway.journal.sqlite import open_log
from gateway.server.services.subscribe import SubscribeStream
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT
from tests.harness.logs import reader_of, writer_of
from tests.oracle.history import Opening, Stream
from tests.oracle.model import Era
from tests.oracle.readers import CountingFeed, Reader
from tests.oracle.schedule import RETENTION
from tests.oracle.stepped import SteppedLoop

# Far longer than any test holds up.
_HELD_S = 60.0


class HeldNews:
    """Use `opened`."""

    def __init__(self, loop: SteppedLoop, log: EventLog, window: int) -> None:
        self._loop = loop
        self._clock = ManualClock()
        self._window = window
        self._news: asyncio.Queue[Callable[[], None]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[Any]] = []
        self._readers: list[Reader] = []
        self._era = Era(log.journal.epoch)
        self.log = log
        self.feed = CountingFeed(log.index, Window(log.index.span.newest, entries_max=window))
        self.feed.streams = {}
        self._answer = SubscribeStream(self.feed, 3_600.0, random.Random(0), loop.time)
        writer_of(log)._in_loop = self._hold  # type: ignore[method-assign]

    @classmethod
    @asynccontextmanager
    async def opened(cls, loop: SteppedLoop, path: Path, window: int) -> AsyncIterator["HeldNews"]:
        log = await open_log(path, FORMAT)
        held = cls(loop, log, window)
        try:
            yield held
        finally:
            for reader in held._readers:
                await reader.gone()
            await log.close()
            await asyncio.gather(*held._tasks)

    async def committed(self, work: Coroutine[Any, Any, Any]) -> Callable[[], None]:
        """Start an append or a prune; returns when it is on disk, with what tells the feed."""
        self._tasks.append(asyncio.create_task(work))
        return await self._news.get()

    def pruning(self) -> Coroutine[Any, Any, int]:
        """A prune, to be started by `committed`."""
        return self.log.index.prune(RETENTION, self._clock())

    def reader(self) -> Reader:
        self._readers.append(Reader(f"r{len(self._readers)}"))
        return self._readers[-1]

    def subscribe(self, opening: Opening, reader: Reader | None = None) -> Stream:
        reader = reader or self.reader()
        return reader.open(self.feed, self._answer, self._era, opening, self._window)

    def hold_up_reading(self) -> threading.Event:
        """Have every read from the log wait in its thread until the event is set."""
        released = threading.Event()
        threads = reader_of(self.log)._followers
        query = threads._query

        def late(wanted: Any, stop: Any) -> Any:
            released.wait(_HELD_S)
            return query(wanted, stop)

        threads._query = late  # type: ignore[method-assign, assignment]
        return released

    def _hold(self, callback: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(self._news.put_nowait, callback)
