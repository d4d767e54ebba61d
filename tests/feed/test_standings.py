"""How the streams of each caller stand, and how late new events are with them."""

import asyncio

from gateway.feed.feed import Feed
from gateway.feed.standing import Standing
from gateway.journal.filter import EVERYTHING
from gateway.records.deliveries import RoundEnded
from tests.feed.stage import Stage, next_of
from tests.harness.events import choosing, new_event


def test_a_caller_stands_where_its_slowest_stream_does(stage: Stage) -> None:
    stage.numbered(5)

    async def run(feed: Feed) -> list[dict[str, Standing]]:
        with (
            feed.subscribe(EVERYTHING, EVERYTHING, 5, 10) as quick,
            feed.subscribe(EVERYTHING, EVERYTHING, 1, 10) as slow,
            feed.subscribe(EVERYTHING, EVERYTHING, 3, 10) as unnamed,
        ):
            quick.caller = slow.caller = "billing"
            before = dict(feed.standings)
            await next_of(slow, 0.05)
            after = dict(feed.standings)
            assert unnamed.backlog == 2
        return [before, after, dict(feed.standings)]

    before, after, gone = stage.run(run(stage.feed))

    assert before == {"": Standing(1, 2), "billing": Standing(2, 4)}
    assert after == {"": Standing(1, 2), "billing": Standing(2, 0)}
    assert gone == {"": Standing(0, 0), "billing": Standing(0, 0)}


def test_who_waits_for_other_events_is_not_behind(stage: Stage) -> None:
    async def run(feed: Feed) -> int:
        with feed.subscribe(choosing(type=["rare"]), EVERYTHING, 0, 10) as subscription:
            waiting = asyncio.ensure_future(subscription.next(10))
            await asyncio.sleep(0)
            await asyncio.gather(*(stage.log.journal.append(new_event("usual")) for _ in range(5)))
            assert feed.newest == 5
            backlog = subscription.backlog
            waiting.cancel()
            return backlog

    assert stage.run(run(stage.feed)) == 0


def test_a_round_tells_how_long_ago_the_first_of_its_events_was_received(stage: Stage) -> None:
    rounds: list[RoundEnded] = []
    stage.run(_tell(stage.feed, rounds))

    async def run(feed: Feed) -> None:
        with feed.subscribe(choosing(type=["t"]), EVERYTHING, 0, 10) as subscription:
            next_ = asyncio.ensure_future(subscription.next(10))
            await asyncio.sleep(0)
            received_at_us = round((NOW_S - 1.5) * 1e6)
            await stage.log.journal.append(new_event("t", received_at_us=received_at_us))
            assert len((await next_).frames) == 1
            await asyncio.sleep(0)
            # Nobody waits for this one.
            await stage.log.journal.append(new_event("other"))
            await asyncio.sleep(0.01)

    stage.run(run(stage.feed))

    assert [(it.events, it.streams, round(it.lag_s, 3)) for it in rounds] == [(1, 1, 1.5)]


NOW_S = 2_000_000_000.0


async def _tell(feed: Feed, rounds: list[RoundEnded]) -> None:
    feed.tell(rounds.append, lambda: NOW_S)
