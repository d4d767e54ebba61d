"""A drain: everybody is let go, each when it has what had come."""

import asyncio
from collections.abc import Sequence

from gateway.journal.filter import EVERYTHING, Filter
from tests.feed.stage import Given, Stage, next_of
from tests.harness.events import choosing, new_event


def test_a_drain_is_told_to_everybody(stage: Stage) -> None:
    async def sleep_and_drain() -> Sequence[Given]:
        with (
            stage.feed.subscribe(Filter(), EVERYTHING, 0, 9) as asleep,
            stage.feed.subscribe(Filter(), EVERYTHING, 0, 9) as late,
        ):
            # Far longer than the test may take: only the drain can end the wait.
            waiting = asyncio.create_task(next_of(asleep, 3_600))
            await asyncio.sleep(0)
            stage.feed.drain()
            return await waiting, await next_of(late, 3_600)

    assert [delivery.drained for delivery in stage.run(sleep_and_drain())] == [True, True]


def test_who_comes_after_a_drain_has_begun_is_let_go_too(stage: Stage) -> None:
    async def drain_and_open() -> Given:
        stage.feed.drain()
        with stage.feed.subscribe(Filter(), EVERYTHING, 0, 9) as late:
            return await next_of(late, 3_600)

    assert stage.run(drain_and_open()).drained


def test_a_drain_delivers_first_what_has_come(stage: Stage) -> None:
    stage.numbered(5)

    async def drain_with_events_waiting() -> list[tuple[list[int], bool]]:
        with stage.feed.subscribe(Filter(), EVERYTHING, 0, 3) as subscription:
            stage.feed.drain()
            await stage.log.journal.append(new_event())
            ended = [await next_of(subscription, 3_600) for _ in range(3)]
            return [(it.sequences, it.drained) for it in ended]

    assert stage.run(drain_with_events_waiting()) == [
        ([1, 2, 3], False),
        ([4, 5, 6], False),
        ([], True),
    ]


def test_a_drain_does_not_wait_for_what_does_not_match(stage: Stage) -> None:
    stage.numbered(5)
    other = choosing(conference_id=["another"])

    async def drain_behind_other_events() -> bool:
        with stage.feed.subscribe(other, EVERYTHING, 2, 3) as subscription:
            stage.feed.drain()
            return (await next_of(subscription, 3_600)).drained

    assert stage.run(drain_behind_other_events())
