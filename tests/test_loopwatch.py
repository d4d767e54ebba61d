"""The watch on the event loop, over a loop that really stands still."""

import asyncio
import logging
import threading

import pytest

from gateway.loopwatch import STANDS_STILL_S, LoopWatch
from tests.harness.clock import ManualClock
from tests.harness.readiness import until


def test_a_loop_that_stands_still_is_told_once_with_where_and_for_how_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock, told = ManualClock(), threading.Event()

    def a_call_that_blocks() -> None:
        clock.advance(STANDS_STILL_S - 0.1)
        assert not told.wait(0.1)
        assert caplog.messages == []
        clock.advance(0.1)
        until(lambda: len(caplog.messages) == 1)
        clock.advance(60)
        assert not told.wait(0.1)

    async def story() -> None:
        watch = asyncio.create_task(LoopWatch(now=clock, every_s=0.01).run())
        await asyncio.sleep(0.05)
        a_call_that_blocks()
        await asyncio.to_thread(until, lambda: len(caplog.messages) == 2)
        watch.cancel()

    asyncio.run(asyncio.wait_for(story(), 20))

    first, last = caplog.messages
    assert first.startswith("the event loop stands still for 5 s, at:")
    assert "a_call_that_blocks" in first
    assert last == "the event loop turns again after 65 s"


def test_the_watch_ends_with_the_work_that_it_is() -> None:
    # Gateways of other tests have theirs.
    others = set(threading.enumerate())

    async def story() -> None:
        watch = asyncio.create_task(LoopWatch(every_s=0.01).run())
        await asyncio.sleep(0)
        assert watching()
        watch.cancel()

    def watching() -> bool:
        return any(it.name == "loopwatch" for it in set(threading.enumerate()) - others)

    asyncio.run(story())

    until(lambda: not watching())
