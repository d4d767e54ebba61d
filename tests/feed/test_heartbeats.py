"""Heartbeats: when one is due, and the cursor that it has."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.feed.feed import Feed
from gateway.journal.events import Entry, Framed
from gateway.journal.filter import EVERYTHING
from gateway.journal.ports import Index
from gateway.journal.reading import Span
from tests.feed.stage import ALL, Stage, next_of
from tests.harness.events import choosing, keys_of, new_event
from tests.oracle.stepped import SteppedLoop, run_stepped


def test_a_heartbeat_has_the_newest_cursor_however_long_the_pause(stage: Stage) -> None:
    async def beat_in_a_pause() -> int:
        crowd = [stage.feed.subscribe(ALL, EVERYTHING, 0, 100) for _ in range(500)]
        for subscription in crowd:
            subscription.__enter__()
        await stage.log.journal.append(new_event(conference_id="c1"))
        await stage.log.journal.append(new_event(conference_id="c1"))
        with stage.feed.subscribe(choosing(conference_id=["c2"]), EVERYTHING, 1, 9) as quiet:
            assert (await next_of(quiet, 0.001)).position == 2
            await stage.log.journal.append(new_event(conference_id="c1"))
            return (await next_of(quiet, 0.001)).position

    assert stage.run(beat_in_a_pause()) == 3


def test_being_woken_in_vain_does_not_put_off_a_heartbeat(stage: Stage) -> None:
    wanted = choosing(type=["nothing.*"])  # has no key of its own: everything wakes it

    async def wait_among_others() -> int:
        wakes = 0
        with stage.feed.subscribe(wanted, EVERYTHING, 0, 9) as subscription:
            waiting = asyncio.create_task(next_of(subscription, 0.2))
            while not waiting.done():
                await stage.log.journal.append(new_event())
                wakes += 1
            return wakes

    assert stage.run(wait_among_others()) > 1


@pytest.mark.parametrize("slept_s", [10.0, 300.0])
def test_traffic_moves_the_heartbeat(slept_s: float) -> None:
    """Neither is it due when the sleep before was to end: sooner, or later."""
    listeners: list[Callable[[Sequence[Entry]], None]] = []
    log = SimpleNamespace(epoch=bytes(8), span=Span(1, 0), listen=listeners.append)

    async def beat_after_traffic(loop: SteppedLoop) -> None:
        async def pass_on(seconds: float) -> None:
            loop.advance(seconds)
            for _ in range(9):
                await asyncio.sleep(0)

        feed = Feed(cast(Index, log))
        with feed.subscribe(ALL, EVERYTHING, 0, 9) as subscription:
            waiting = asyncio.create_task(next_of(subscription, slept_s))
            await pass_on(0.0)
            await pass_on(6.0)
            for tell in listeners:
                tell([Entry(Framed(1, b"frame"), keys_of(type="t"))])
            assert (await waiting).sequences == [1]

            waiting = asyncio.create_task(next_of(subscription, 10.0))
            await pass_on(0.0)
            await pass_on(9.9)
            assert not waiting.done()
            await pass_on(0.2)
            assert waiting.done()
            assert waiting.result().sequences == []

    run_stepped(beat_after_traffic)
