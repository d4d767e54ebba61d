"""The index of a gateway, which outlives its copy: the copy is replaced when the log is another.

Readers hold the index. What they ask while a copy is replaced waits for the new one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.events import Entry, NewEvent
from gateway.journal.filter import Filter
from gateway.journal.format import EventFormat
from gateway.journal.ports import Index, Listener
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
from gateway.journal.sqlite.copy import LogCopy, open_copy
from gateway.journal.sqlite.log import Forget
from gateway.schema.event_keys import EventKey

R = TypeVar("R")


class StandingCopy:
    """An `Index` in a file, and what feeds it, as `LogCopy` does. Raises LogOpenError when made."""

    def __init__(self, path: Path, format_: EventFormat, epoch: bytes, forget: Forget) -> None:
        self._path = path
        self._format = format_
        self._forget = forget
        self._copy = open_copy(path, format_, epoch, forget)
        self._listeners: list[Listener] = []
        self._told: list[Callable[[], None]] = []
        self._replacing: asyncio.Task[None] | None = None

    @property
    def keys(self) -> Sequence[EventKey]:
        """See `Index.keys`."""
        return self._format.keys

    @property
    def epoch(self) -> bytes:
        """See `Index.epoch`."""
        return self._copy.index.epoch

    @property
    def span(self) -> Span:
        """See `Index.span`."""
        return self._copy.index.span

    def listen(self, listener: Listener) -> None:
        """See `Index.listen`."""
        self._listeners.append(listener)
        self._copy.index.listen(listener)

    def when_begun_anew(self, told: Callable[[], None]) -> None:
        """See `Copying.when_begun_anew`; those are called in the order in which they asked."""
        self._told.append(told)

    async def take(self, first: int, events: Sequence[NewEvent], more: bool = False) -> bool:
        """See `LogCopy.take`."""
        return await self._copy.take(first, events, more)

    async def begin_after(self, number: int) -> None:
        """See `LogCopy.begin_after`."""
        await self._copy.begin_after(number)

    async def begin_anew(self, epoch: bytes, after: int) -> None:
        """Throw the copy away, and begin one of another log, after a number.

        Nothing else may feed it meanwhile. Raises LogUnavailableError, and is to be asked again.
        """
        # Whoever asks may go; what has been closed must be open again, or nobody closes it.
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.create_task(self._replace(epoch, after))
        await asyncio.shield(self._replacing)

    async def close(self) -> None:
        """See `LogCopy.close`."""
        await self._replaced()
        await self._copy.close()

    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        """See `Index.read`."""
        return await self._asked(lambda it: it.read(after, wanted, limit, visible))

    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        """See `Index.recent`."""
        return await self._asked(lambda it: it.recent(limit, bytes_max))

    async def stretch(self, bounds: TimeBounds, asker: Asker = NOBODY) -> Stretch:
        """See `Index.stretch`."""
        return await self._asked(lambda it: it.stretch(bounds, asker))

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
        return await self._asked(
            lambda it: it.page(
                wanted, bounds, stretch, limit, visible, newest_first=newest_first, asker=asker
            )
        )

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        """See `Index.raw`."""
        return await self._asked(lambda it: it.raw(sequences, asker))

    async def find(
        self, event_id: str, visible: Filter, asker: Asker = NOBODY
    ) -> StoredEvent | None:
        """See `Index.find`."""
        return await self._asked(lambda it: it.find(event_id, visible, asker))

    async def first_received_since(self, moment_us: int) -> int:
        """See `Index.first_received_since`."""
        return await self._asked(lambda it: it.first_received_since(moment_us))

    async def measures(self, asker: Asker = NOBODY) -> Measures:
        """See `Index.measures`."""
        return await self._asked(lambda it: it.measures(asker))

    async def prune(self, retention: Retention, now: float) -> int:
        """See `Index.prune`."""
        return await self._asked(lambda it: it.prune(retention, now))

    async def _asked(self, ask: Callable[[Index], Awaitable[R]]) -> R:
        await self._replaced()
        try:
            return await ask(self._copy.index)
        except LogUnavailableError:
            # A copy that is closed under a reader is another log's soon: the reader is to see that.
            await self._replaced()
            raise

    async def _replaced(self) -> None:
        if self._replacing is not None and not self._replacing.done():
            await asyncio.wait([self._replacing])

    async def _replace(self, epoch: bytes, after: int) -> None:
        await self._copy.close()
        loop = asyncio.get_running_loop()
        try:
            # In a thread: to empty a large file takes long.
            copy = await asyncio.to_thread(self._open, epoch, loop)
        except LogOpenError as error:
            raise LogUnavailableError(f"the index cannot be built anew: {error}") from error
        try:
            await copy.begin_after(after)
        except BaseException:
            await copy.close()
            raise
        for listener in self._listeners:
            copy.index.listen(listener)
        self._copy = copy
        for told in self._told:
            told()

    def _open(self, epoch: bytes, loop: asyncio.AbstractEventLoop) -> LogCopy:
        return open_copy(self._path, self._format, epoch, self._forget, anew=True, loop=loop)
