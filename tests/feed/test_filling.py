"""While an index is being filled: what comes at the log's end is given from the window at once.

The log is a list here, of which an index has the first, and a second voice tells the last.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import pytest

from gateway.feed.dispatch import Dispatcher
from gateway.feed.errors import EventsLostError
from gateway.feed.feed import Feed
from gateway.feed.start import LossReason, Start
from gateway.feed.subscription import Subscription
from gateway.feed.window import Window
from gateway.journal.cursor import Cursor, Cursors
from gateway.journal.errors import LogUnavailableError, OvertakenError
from gateway.journal.events import Entry, Framed
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.lag import Lag
from gateway.journal.ports import EventLog, Index, Listener
from gateway.journal.reading import Batch, Span
from tests.feed.stage import ALL, Given, next_of
from tests.harness.copying import HeldAhead, HeldCopying
from tests.harness.events import choosing, keys_of
from tests.oracle.stepped import SteppedLoop, run_stepped

EPOCH = bytes(8)
OTHERS = choosing(conference_id=["nobody's"])


def entry(number: int) -> Entry:
    keys = keys_of(type="t", conference_id=f"c{number % 2}")
    return Entry(Framed(number, b"frame %d" % number), keys, number)


class FillingIndex:
    """An index that has of a log the numbers up to some, but for those up to `lost`."""

    keys = ()
    epoch = EPOCH

    def __init__(self) -> None:
        self.newest, self.lost, self.reads = 0, 0, 0
        self._listeners: list[Listener] = []

    @property
    def span(self) -> Span:
        return Span(self.lost + 1, max(self.newest, self.lost))

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def fill(self, through: int) -> None:
        come = [entry(it) for it in range(self.newest + 1, through + 1)]
        self.newest = through
        for listener in self._listeners:
            listener(come)

    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        self.reads += 1
        if after < self.lost:
            raise OvertakenError(self.lost + 1)
        found = [entry(it) for it in range(after + 1, self.newest + 1)]
        matching = [it.framed for it in found if wanted.within(visible).matches(it.keys)]
        if len(matching) > limit:
            return Batch(matching[:limit], matching[limit - 1].sequence)
        return Batch(matching, self.newest)

    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        return ()

    async def first_received_since(self, moment_us: int) -> int:
        return next((it for it in range(1, self.newest + 1) if it >= moment_us), self.newest + 1)


class Stage:
    """A log of a hundred events when the gateway came, of which its index has none yet."""

    def __init__(
        self, loop: SteppedLoop, feed: Feed, index: FillingIndex, ahead: HeldAhead
    ) -> None:
        self._loop, self.feed, self.index, self.ahead = loop, feed, index, ahead

    async def given(self, subscription: Subscription) -> Given:
        """Return what a subscriber is given now."""
        given = asyncio.create_task(next_of(subscription, 10.0))
        await self._loop.rest()
        assert given.done()
        return given.result()

    def subscribe(self, position: int, wanted: Filter = ALL, batch: int = 1_000) -> Subscription:
        return self.feed.subscribe(wanted, EVERYTHING, position, batch)


def staged(story: Callable[[Stage, SteppedLoop], Awaitable[None]]) -> None:
    async def run(loop: SteppedLoop) -> None:
        index, ahead, copying = FillingIndex(), HeldAhead(100, entry), HeldCopying()
        copying.lag = Lag(100, 100, is_cut_off=False)
        copying.fails = True
        nothing = cast(Any, None)
        log = EventLog(
            "h",
            nothing,
            cast(Index, index),
            nothing,
            nothing,
            nothing,
            nothing,
            copying=copying,
            ahead=ahead,
        )
        await story(Stage(loop, await Feed.of(log), index, ahead), loop)

    run_stepped(run)


def test_who_follows_live_gets_what_comes_before_the_index_has_it() -> None:
    async def story(stage: Stage, loop: SteppedLoop) -> None:
        with stage.subscribe(stage.feed.end) as live:
            assert live.position == 100
            assert live.live
            assert stage.feed.lag_of(live) is None
            stage.ahead.tell(102)
            assert (await stage.given(live)).sequences == [101, 102]
            # What the index gets of it later is no news.
            stage.index.fill(101)
            stage.index.fill(105)
            assert (await stage.given(live)).sequences == [103, 104, 105]
            assert stage.index.reads == 0

    staged(story)


def test_who_is_further_back_gets_each_event_once_as_the_index_comes_to_it() -> None:
    async def story(stage: Stage, loop: SteppedLoop) -> None:
        with stage.subscribe(40, batch=25) as reader:
            assert stage.feed.lag_of(reader) == stage.feed.lag
            waiting = asyncio.create_task(next_of(reader, 10.0))
            await loop.rest()
            stage.ahead.tell(101)
            stage.index.fill(30)
            await loop.rest()
            assert not waiting.done()
            assert stage.index.reads == 0, "nothing is there to be read"

            stage.index.fill(60)
            await loop.rest()
            got = [*waiting.result().sequences]
            assert got == [*range(41, 61)]
            assert not reader.live
            stage.index.fill(100)
            while reader.position < 101:
                got += (await stage.given(reader)).sequences
            assert got == [*range(41, 102)]
            assert reader.live

    staged(story)


def test_a_wait_for_the_index_has_heartbeats_that_stay_where_they_are() -> None:
    async def story(stage: Stage, loop: SteppedLoop) -> None:
        with stage.subscribe(40, OTHERS) as reader:
            waiting = asyncio.create_task(next_of(reader, 10.0))
            await loop.rest()
            stage.ahead.tell(150)
            loop.advance(10.0)
            await loop.rest()
            beat = waiting.result()
            assert (beat.sequences, beat.position, beat.live) == ([], 40, False)

    staged(story)


def test_who_falls_out_of_the_window_waits_for_the_index_and_loses_nothing() -> None:
    async def story(stage: Stage, loop: SteppedLoop) -> None:
        with stage.subscribe(100) as slow:
            stage.ahead.tell(101)
            assert (await stage.given(slow)).sequences == [101]
            for through in range(1_000, 13_000, 1_000):
                stage.ahead.tell(through)
            assert stage.feed.newest == 12_000
            assert slow.is_behind

            waiting = asyncio.create_task(next_of(slow, 10.0))
            await loop.rest()
            assert not waiting.done()
            stage.index.fill(12_000)
            await loop.rest()
            got = [*waiting.result().sequences]
            while slow.position < 12_000:
                got += (await stage.given(slow)).sequences
            assert got == [*range(102, 12_001)]

    staged(story)


def test_who_needs_the_index_is_not_given_what_is_not_in_it() -> None:
    async def story(stage: Stage, loop: SteppedLoop) -> None:
        with stage.subscribe(100) as raw:
            raw.needs_index = True
            stage.ahead.tell(110)
            waiting = asyncio.create_task(next_of(raw, 10.0))
            await loop.rest()
            assert not waiting.done()
            assert stage.feed.lag_of(raw) is not None
            stage.index.fill(105)
            await loop.rest()
            assert waiting.result().sequences == [101, 102, 103, 104, 105]
            stage.index.fill(110)
            assert (await stage.given(raw)).sequences == [106, 107, 108, 109, 110]
            assert raw.live

    staged(story)


@pytest.mark.parametrize("wanted", [ALL, OTHERS])
def test_numbers_that_the_log_has_lost_are_a_loss_for_everybody(wanted: Filter) -> None:
    async def story(stage: Stage, loop: SteppedLoop) -> None:
        with stage.subscribe(100, wanted) as live:
            waiting = asyncio.create_task(live.next(10.0))
            stage.ahead.tell(101)
            await loop.rest()
            if wanted is ALL:
                assert waiting.done()
                waiting = asyncio.create_task(live.next(10.0))
                await loop.rest()
            # Not even who wants none of what came before and after can know what these were.
            stage.ahead.lose(104)
            stage.ahead.tell(110)
            await loop.rest()
            assert not waiting.done(), "the index has not come there"
            stage.index.lost = 104
            stage.index.newest = 104
            stage.index.fill(110)
            await loop.rest()
            assert waiting.done()
            with pytest.raises(EventsLostError) as raised:
                await waiting
            loss = raised.value.loss
            assert (loss.reason, loss.position) == (LossReason.CURSOR_EXPIRED, 104)
            if wanted is ALL:
                assert (await stage.given(live)).sequences == [*range(105, 111)]

    staged(story)


def test_cursors_that_the_index_has_not_come_to_are_no_loss() -> None:
    async def story(stage: Stage, loop: SteppedLoop) -> None:
        stage.ahead.tell(103)
        for number in (0, 40, 100, 103):
            start = await stage.feed.start_after(str(Cursor(EPOCH, number)), 5.0)
            assert start == Start(number)
        with pytest.raises(LogUnavailableError):
            await stage.feed.start_after(str(Cursor(EPOCH, 104)), 5.0)

    staged(story)


def test_a_time_that_the_index_has_not_come_to_cannot_be_told_yet() -> None:
    async def story(stage: Stage, loop: SteppedLoop) -> None:
        stage.index.fill(50)
        assert await stage.feed.since(50) == Start(49)
        with pytest.raises(LogUnavailableError, match="it has 0 of 100 events"):
            await stage.feed.since(51)

    staged(story)


@pytest.mark.parametrize("seed", range(20))
def test_in_whatever_order_the_two_tell_all_get_each_event_once(seed: int) -> None:
    drawn = random.Random(seed)

    async def read(stage: Stage, position: int, wanted: Filter) -> list[int]:
        got: list[int] = []
        with stage.subscribe(position, wanted, batch=drawn.randrange(1, 40)) as subscription:
            while subscription.position < 300:
                given = await next_of(subscription, 5.0)
                assert given.sequences == sorted(given.sequences)
                got += given.sequences
                if drawn.random() < 0.3:
                    await asyncio.sleep(drawn.random())
        return got

    async def story(stage: Stage, loop: SteppedLoop) -> None:
        even = choosing(conference_id=["c0"])
        readers = [(drawn.randrange(101), it) for it in (ALL, even) * 6]
        tasks = [asyncio.create_task(read(stage, *it)) for it in readers]
        index, told = 0, 100
        while index < 300:
            if told < 300 and drawn.random() < 0.5:
                told += drawn.randrange(1, 301 - told)
                stage.ahead.tell(told)
            # The index has no more than the log.
            elif index < told or told == 300:
                most = min(told + drawn.randrange(3), 300)
                index = drawn.randrange(index, most) + 1 if index < most else index
                stage.index.fill(index) if index > stage.index.newest else None
                if index > told:
                    told = index
                    stage.ahead.lose(told)
            await loop.rest()
        for _ in range(1_000):
            loop.advance(1.0)
            await loop.rest()
            if all(it.done() for it in tasks):
                break
        for (position, wanted), task in zip(readers, tasks, strict=True):
            assert task.result() == [
                it for it in range(position + 1, 301) if wanted is ALL or it % 2 == 0
            ]

    staged(story)


def test_a_window_that_begins_anew_finds_nothing_of_before() -> None:
    window = Window(0)
    dispatcher = Dispatcher(window, Cursors(EPOCH))

    async def story(loop: SteppedLoop) -> None:
        dispatcher.arrived([entry(it) for it in range(1, 5)])
        dispatcher.take_in()
        assert (window.start, window.newest) == (0, 4)
        dispatcher.arrived([entry(it) for it in range(8, 10)])
        dispatcher.take_in()
        assert (window.start, window.newest) == (7, 9)
        assert [it.sequence for it in window.after(7, choosing(conference_id=["c0"]), 9)] == [8]
        assert [it.sequence for it in window.after(7, ALL, 9)] == [8, 9]

    run_stepped(story)
