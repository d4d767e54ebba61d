"""A log under test: opened, closed and opened again, and what must be in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from gateway.journal.events import Appended, Entry, Framed, NewEvent
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.format import EventFormat
from gateway.journal.ports import Checkpoints, EventLog, Index, Journal
from gateway.journal.reading import NOBODY, READ_BYTES_MAX, Page, Stretch, TimeBounds
from gateway.journal.retention import Retention
from tests.contract.homes import Home, Place
from tests.contract.model import Model
from tests.contract.samples import FORMAT, NOW, Brackets, keyed

# More than any check stores.
PLENTY = 100_000

ALL_TIMES = TimeBounds()

FOR_EVER = Retention(100 * 365 * 86_400, 2**40)


class Another(Protocol):
    """Makes one more log of the same home."""

    def __call__(self, begins_at: int = 1) -> Awaitable["LogUnderTest"]: ...


class LogUnderTest:
    """One log of a home, with a model of what must be in it. Use `opened`.

    What goes through here is kept in the model, too.
    """

    def __init__(self, place: Place, another: "Another", begins_at: int = 1) -> None:
        self._place = place
        self._begins_at = begins_at
        self._log: EventLog | None = None
        self._beside: list[EventLog] = []
        self.another = another
        self.model = Model(begins_at)

    async def begin(self) -> None:
        """Make the log, so that its first event gets the number that it is to have."""
        if self._begins_at == 1:
            await self.open()
        else:
            self._take(await self._place.begun(FORMAT, self._begins_at), FORMAT)

    async def open(self, format_: EventFormat = FORMAT) -> None:
        assert self._log is None
        self._take(await self._place.open(format_), format_)

    def _take(self, log: EventLog, format_: EventFormat) -> None:
        self._log = log
        self.keys = format_.keys
        framing = format_.framing_of(self.epoch)
        assert isinstance(framing, Brackets)
        self.framing = framing

    async def close(self) -> EventLog | None:
        """Close the log, if it is open; return what it was."""
        for other in self._beside:
            await other.close()
        self._beside = []
        log, self._log = self._log, None
        if log is not None:
            await log.close()
        return log

    async def gateways(self, count: int) -> list[EventLog]:
        """Return this log as so many gateways have it open; only one, where that is all there is.

        They are closed with the log. Nothing but what they tell each other goes through here.
        """
        while len(self._beside) < count - 1:
            other = await self._place.beside(FORMAT)
            if other is None:
                break
            self._beside.append(other)
        return [self.log, *self._beside]

    async def reopen(self, format_: EventFormat = FORMAT) -> None:
        await self.close()
        await self.open(format_)

    @property
    def log(self) -> EventLog:
        assert self._log is not None
        return self._log

    @property
    def journal(self) -> Journal:
        return self.log.journal

    @property
    def index(self) -> Index:
        return self.log.index

    @property
    def checkpoints(self) -> Checkpoints:
        return self.log.checkpoints

    @property
    def epoch(self) -> bytes:
        return self.journal.epoch

    async def append(self, *events: NewEvent) -> list[Appended]:
        """Append events at the same time, with the keys that the log was opened with."""
        declared = [keyed(it, self.keys) for it in events]
        done = await asyncio.gather(*map(self.journal.append, declared))
        self.model.take(zip(events, done, strict=True))
        await self._caught_up()
        return done

    async def _caught_up(self) -> None:
        """Wait until an index that is a copy has what was appended: three servers may take long."""
        copying = None if self._log is None else self._log.copying
        while copying is not None and copying.behind:  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.01)

    async def append_in_order(self, *events: NewEvent) -> list[Appended]:
        """Append events one after the other, so that their numbers follow their order."""
        return [appended for event in events for appended in await self.append(event)]

    async def prune(self, retention: Retention, now: float = NOW) -> int:
        """Prune; the model follows what is held since."""
        deleted = await self.index.prune(retention, now)
        self.model.delete_before(self.index.span.oldest)
        return deleted

    def frames(self, numbers: Iterable[int]) -> list[Framed]:
        """Return events as readers must get them."""
        return [self.framing.framed(it, self.model.events[it].body) for it in numbers]

    def entry(self, framed: Framed) -> Entry:
        """Return what listeners must be told of an event."""
        event = self.model.events[framed.sequence]
        return Entry(framed, event.keys, event.received_at_us)

    async def followed(
        self,
        wanted: Filter = EVERYTHING,
        visible: Filter = EVERYTHING,
        *,
        after: int | None = None,
        limit: int = PLENTY,
    ) -> list[Framed]:
        """Read up to the newest event in as many steps as it takes. Every step must be sound."""
        position = self.index.span.oldest - 1 if after is None else after
        found: list[Framed] = []
        while position < self.index.span.newest:
            batch = await self.index.read(position, wanted, limit, visible)
            numbers = [it.sequence for it in batch.frames]
            assert position < batch.through <= self.index.span.newest, "it goes on, up to the end"
            assert all(position < it <= batch.through for it in numbers), "it is what comes next"
            assert_fits(batch.frames, limit)
            found += batch.frames
            position = batch.through
        return found

    async def paged(
        self,
        wanted: Filter = EVERYTHING,
        visible: Filter = EVERYTHING,
        *,
        bounds: TimeBounds = ALL_TIMES,
        stretch: Stretch | None = None,
        limit: int = PLENTY,
        newest_first: bool = False,
    ) -> list[Framed]:
        """Search a stretch in as many steps as it takes. Every step must be sound."""
        rest = await self.index.stretch(bounds) if stretch is None else stretch
        found: list[Framed] = []
        while not rest.is_empty:
            page = await self.page(
                wanted, visible, bounds=bounds, stretch=rest, limit=limit, newest_first=newest_first
            )
            numbers = [it.sequence for it in page.frames]
            assert length(page.rest) < length(rest), "it goes on"
            assert all(rest.after < it <= rest.through for it in numbers), "it is of the stretch"
            assert not any(page.rest.after < it <= page.rest.through for it in numbers)
            assert_fits(page.frames, limit)
            found += page.frames
            rest = page.rest
        return found

    async def page(
        self,
        wanted: Filter = EVERYTHING,
        visible: Filter = EVERYTHING,
        *,
        bounds: TimeBounds = ALL_TIMES,
        stretch: Stretch,
        limit: int = PLENTY,
        newest_first: bool = False,
    ) -> Page:
        return await self.index.page(
            wanted, bounds, stretch, limit, visible, newest_first=newest_first, asker=NOBODY
        )


def length(stretch: Stretch) -> int:
    return max(stretch.through - stretch.after, 0)


def assert_fits(frames: Sequence[Framed], limit: int) -> None:
    """Check that what one read has returned is not more than it may be."""
    assert len(frames) <= limit
    assert len(frames) <= 1 or sum(len(it.frame) for it in frames) <= READ_BYTES_MAX


@asynccontextmanager
async def opened(home: Home) -> AsyncIterator[LogUnderTest]:
    """Open a new log of a home. It is closed at the end, and so are all that it is asked for."""
    async with AsyncExitStack() as stack:

        async def another(begins_at: int = 1) -> LogUnderTest:
            place = await stack.enter_async_context(home.place())
            log = LogUnderTest(place, another, begins_at)
            stack.push_async_callback(log.close)
            await log.begin()
            return log

        yield await another()
