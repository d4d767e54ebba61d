"""A log that lives in a loop of its own, as a stepped loop sees it.

What waits for a network needs time that passes. Whoever reads from such a log can be stepped all
the same: what is asked goes over to the other loop, and what comes of it comes back in its order,
as from a thread.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, TypeVar

from gateway.journal.events import Appended, Entry, NewEvent
from gateway.journal.filter import Filter
from gateway.journal.ports import EventLog, Index, Journal, Listener
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
from gateway.schema.event_keys import EventKey
from tests.harness.loop import LoopThread
from tests.oracle.stepped import SteppedLoop

R = TypeVar("R")

Tell: TypeAlias = Callable[[Callable[[], None]], object]
"""Calls something in the stepped loop; can be called from any thread."""


def bridged(
    loop: SteppedLoop, real: LoopThread, log: EventLog, tell: Tell | None = None
) -> EventLog:
    """Return a log of a real loop for a stepped one, to which `tell` brings what was stored."""
    bridge = _Bridge(loop, real, tell or loop.call_soon_threadsafe)
    return replace(
        log,
        journal=_Journal(bridge, log.journal),
        index=_Index(bridge, log.index),
        close=lambda: bridge.asked(log.close()),
        copying=None,
        ahead=None,
    )


class _Bridge:
    def __init__(self, loop: SteppedLoop, real: LoopThread, tell: Tell) -> None:
        self._loop = loop
        self.real = real
        self.tell = tell

    async def asked(self, work: Coroutine[Any, Any, R], tell: Tell | None = None) -> R:
        """Do work in the real loop, and return what comes of it."""
        done: asyncio.Future[R] = self._loop.in_thread()
        bring = tell or self._loop.call_soon_threadsafe

        def end(task: asyncio.Task[R]) -> None:
            bring(lambda: _end(done, task))

        self.real.loop.call_soon_threadsafe(
            lambda: self.real.loop.create_task(work).add_done_callback(end)
        )
        return await done


def _end(done: asyncio.Future[R], task: asyncio.Task[R]) -> None:
    if done.done():
        return
    if (error := task.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(task.result())


class _Journal:
    """See `Journal`."""

    def __init__(self, bridge: _Bridge, journal: Journal) -> None:
        self._bridge = bridge
        self._journal = journal

    @property
    def epoch(self) -> bytes:
        return self._journal.epoch

    @property
    def span(self) -> Span:
        return self._journal.span

    @property
    def problem(self) -> str | None:
        return self._journal.problem

    async def append(self, event: NewEvent) -> Appended:
        return await self._bridge.asked(self._journal.append(event), self._bridge.tell)


class _Index:
    """See `Index`."""

    def __init__(self, bridge: _Bridge, index: Index) -> None:
        self._bridge = bridge
        self._index = index
        self._listeners: list[Listener] = []
        self._newest = bridge.real.call(self._begin)

    def _begin(self) -> int:
        def listen(entries: Sequence[Entry]) -> None:
            self._bridge.tell(lambda: self._arrived(entries))

        self._index.listen(listen)
        return self._index.span.newest

    def _arrived(self, entries: Sequence[Entry]) -> None:
        self._newest = entries[-1].framed.sequence
        for listener in self._listeners:
            listener(entries)

    @property
    def keys(self) -> Sequence[EventKey]:
        return self._index.keys

    @property
    def epoch(self) -> bytes:
        return self._index.epoch

    @property
    def span(self) -> Span:
        oldest = self._index.span.oldest
        return Span(oldest, max(self._newest, oldest - 1))

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        return await self._bridge.asked(self._index.read(after, wanted, limit, visible))

    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        return await self._bridge.asked(self._index.recent(limit, bytes_max))

    async def stretch(self, bounds: TimeBounds, asker: Asker = NOBODY) -> Stretch:
        return await self._bridge.asked(self._index.stretch(bounds, asker))

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
        return await self._bridge.asked(
            self._index.page(
                wanted, bounds, stretch, limit, visible, newest_first=newest_first, asker=asker
            )
        )

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        return await self._bridge.asked(self._index.raw(sequences, asker))

    async def find(
        self, event_id: str, visible: Filter, asker: Asker = NOBODY
    ) -> StoredEvent | None:
        return await self._bridge.asked(self._index.find(event_id, visible, asker))

    async def first_received_since(self, moment_us: int) -> int:
        return await self._bridge.asked(self._index.first_received_since(moment_us))

    async def measures(self, asker: Asker = NOBODY) -> Measures:
        return await self._bridge.asked(self._index.measures(asker))

    async def prune(self, retention: Retention, now: float) -> int:
        return await self._bridge.asked(self._index.prune(retention, now), self._bridge.tell)
