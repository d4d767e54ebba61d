"""What a gateway does with an index that is being filled."""

import asyncio
from typing import Any, cast

from gateway.homes import index_filling, once_filled
from gateway.journal.lag import Lag
from gateway.journal.ports import EventLog
from tests.harness.copying import HeldCopying


def _log(copying: HeldCopying | None) -> EventLog:
    nothing = cast(Any, None)
    return EventLog("home", nothing, nothing, nothing, nothing, nothing, nothing, copying=copying)


class Filling(HeldCopying):
    """Is filled when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.full = asyncio.Event()

    async def filled(self) -> None:
        await self.full.wait()


def test_an_index_that_is_being_filled_is_named_with_its_progress() -> None:
    copying = HeldCopying()
    assert index_filling(_log(None)) is None
    assert index_filling(_log(copying)) is None

    copying.lag = Lag(40, 43, is_cut_off=False)
    assert index_filling(_log(copying)) == "the index is being filled: it has 3 of 43 events"

    # The log itself says why it cannot be read.
    copying.lag = Lag(40, 43, is_cut_off=True)
    assert index_filling(_log(copying)) is None


def test_work_that_relies_on_the_index_begins_when_it_is_filled() -> None:
    done: list[str] = []

    async def work() -> None:
        done.append("work")

    async def story() -> None:
        copying = Filling()
        waiting = asyncio.create_task(once_filled(_log(copying), {"work": work})["work"]())
        await asyncio.sleep(0)
        assert done == []
        copying.full.set()
        await waiting
        assert done == ["work"]
        await once_filled(_log(None), {"work": work})["work"]()
        assert done == ["work", "work"]

    asyncio.run(story())
