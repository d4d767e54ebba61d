"""The lease: of the gateways on one log one does the work. Alone, it does it at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.journal.leasing import LeaseLostError
from gateway.journal.ports import EventLog
from tests.contract.check import check
from tests.contract.under_test import LogUnderTest

# Looks at who works, some of them longer than anybody waits for the lease to be free.
_LOOKS = 50
_LOOK_EVERY_S = 0.01


class _Gateway:
    """A gateway that wants to work."""

    def __init__(self, log: EventLog) -> None:
        self.lease = log.lease
        self.is_working = False
        self.begun = 0
        self.ends_with: Exception | None = None
        self._end = asyncio.Event()
        self.holding = asyncio.ensure_future(self.lease.hold(self._work))

    async def _work(self) -> None:
        self.is_working = True
        self.begun += 1
        try:
            self.lease.check()
            await self._end.wait()
            if self.ends_with is not None:
                raise self.ends_with
        finally:
            self.is_working = False

    def end(self) -> None:
        """Have the work end."""
        self._end.set()

    async def give_up(self) -> None:
        self.holding.cancel()
        await asyncio.wait([self.holding])


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - nobody tells of all that may hold
        await asyncio.sleep(_LOOK_EVERY_S)


@asynccontextmanager
async def _gateways(log: LogUnderTest, count: int) -> AsyncIterator[list[_Gateway]]:
    found = [_Gateway(it) for it in await log.gateways(count)]
    try:
        yield found
    finally:
        for one in found:
            await one.give_up()


async def _worker(gateways: list[_Gateway]) -> _Gateway:
    """Return the one that works, once one does."""
    await _until(lambda: any(it.is_working for it in gateways))
    return next(it for it in gateways if it.is_working)


@check
async def one_gateway_works_and_all_know_which(log: LogUnderTest) -> None:
    async with _gateways(log, 3) as gateways:
        worker = await _worker(gateways)
        for _ in range(_LOOKS):
            assert [it for it in gateways if it.is_working] == [worker]
            assert [it for it in gateways if it.lease.is_held] == [worker]
            await asyncio.sleep(_LOOK_EVERY_S)
        assert worker.begun == 1

        others = [it for it in gateways if it is not worker]
        await _until(lambda: all(it.lease.holder == worker.lease.holder for it in gateways))
        assert bool(worker.lease.holder) or not others
        for other in others:
            with pytest.raises(LeaseLostError):
                other.lease.check()


@check
async def who_gives_up_has_ended_before_another_begins(log: LogUnderTest) -> None:
    async with _gateways(log, 3) as gateways:
        left = list(gateways)
        while len(left) > 1:
            worker = await _worker(left)
            await worker.give_up()
            assert not worker.is_working
            left.remove(worker)
            assert not worker.lease.is_held
        last = await _worker(left)
        await last.give_up()
        assert not last.is_working


@check
async def when_the_work_has_ended_another_has_its_turn(log: LogUnderTest) -> None:
    async with _gateways(log, 3) as gateways:
        left = list(gateways)
        while left:
            worker = await _worker(left)
            worker.end()
            await worker.holding
            left.remove(worker)
        assert [it.begun for it in gateways] == [1] * len(gateways)


@check
async def work_that_fails_says_so_and_lets_another_begin(log: LogUnderTest) -> None:
    async with _gateways(log, 2) as gateways:
        left = list(gateways)
        while left:
            worker = await _worker(left)
            worker.ends_with = ValueError("it went wrong")
            worker.end()
            with pytest.raises(ValueError, match="it went wrong"):
                await worker.holding
            left.remove(worker)
