"""The events of a watched conference: which come, when they end, and what is said of lost ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.conference.ports import EventBatch
from gateway.feed.feed import Feed
from gateway.feed.window import Window
from gateway.journal.filter import EVERYTHING
from gateway.journal.retention import Retention
from gateway.journal.sqlite import open_log
from gateway.server.errors import GatewayError
from gateway.server.services.conference_events import FeedEvents
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread

# Larger than what a test appends before it reads, if nothing is to be lost.
WINDOW = 10


RETENTION = Retention(100, 2**40)


class Stage:
    def __init__(self, loop: LoopThread, folder: Path) -> None:
        self.run: Any = loop.run
        self.clock = ManualClock()
        self.log = self.run(open_log(folder / "events.db", FORMAT))
        self.feed = loop.call(lambda: Feed(self.log.index, Window(0, entries_max=WINDOW)))
        self.events = FeedEvents(self.feed)

    async def append(self, *ids: str, conference: str = "c1") -> None:
        for id_ in ids:
            await self.log.journal.append(new_event(id_=id_, conference_id=conference))


@pytest.fixture
def stage(loop: LoopThread, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(loop, tmp_path)
    yield stage
    loop.run(stage.log.close())


def test_the_events_of_the_conference_come_in_the_order_of_the_log(stage: Stage) -> None:
    async def follow() -> EventBatch:
        await stage.append("before")
        with stage.events.following("c1", EVERYTHING) as events:
            await stage.append("other", conference="c2")
            await stage.append("first", "second")
            batch = await events.next(20)
            assert events.position == 4
        return batch

    batch = stage.run(follow())

    assert [(it.id, it.sequence) for it in batch.events] == [("first", 3), ("second", 4)]
    assert not batch.draining


def test_an_interrupted_wait_ends_without_events(stage: Stage) -> None:
    async def follow() -> EventBatch:
        with stage.events.following("c1", EVERYTHING) as events:
            events.interrupt()
            return await events.next(3_600)

    assert stage.run(follow()) == EventBatch([])


def test_the_end_of_the_feed_is_told(stage: Stage) -> None:
    async def follow() -> EventBatch:
        with stage.events.following("c1", EVERYTHING) as events:
            stage.feed.drain()
            return await events.next(3_600)

    assert stage.run(follow()).draining


def test_events_that_are_lost_end_the_stream_and_say_what_to_do(stage: Stage) -> None:
    async def follow() -> None:
        with stage.events.following("c1", EVERYTHING) as events:
            await stage.append(*map(str, range(WINDOW * 3)))
            stage.clock.advance(10**6)
            await stage.log.index.prune(RETENTION, stage.clock())
            await stage.append("after")
            await events.next(20)

    with pytest.raises(GatewayError, match="watch again") as raised:
        stage.run(follow())

    assert (raised.value.code.name, raised.value.reason) == ("OUT_OF_RANGE", "CURSOR_EXPIRED")
    assert raised.value.metadata["missed_events"] == str(WINDOW * 3)
