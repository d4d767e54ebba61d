"""Work in the background ends only when it is told to."""

import asyncio

import pytest

from gateway.background import PAUSE_S, kept_running
from tests.harness.loop import LoopThread


def test_work_that_fails_begins_again_after_a_pause(
    loop: LoopThread, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []
    begun: list[int] = []

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) == 3:
            raise asyncio.CancelledError
        raise ValueError("a mistake")

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def run() -> None:
        with pytest.raises(asyncio.CancelledError):
            await kept_running("the work", work, sleep)

    loop.run(run())

    assert begun == [0, 1, 2]
    assert pauses == [PAUSE_S, PAUSE_S]
    assert caplog.text.count("the work failed unexpectedly") == 2
