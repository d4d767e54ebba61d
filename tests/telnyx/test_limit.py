"""The limit on requests in flight, under every way of giving up."""

import asyncio
import random

import pytest

from gateway.telnyx.limit import LimitedTransport
from gateway.telnyx.transport import HttpRequest, HttpResponse, NotSentError, OverloadedError
from tests.harness.loop import LoopThread

REQUEST = HttpRequest("GET", "http://x/", {})


class Gate:
    """A transport whose requests end when they are let through."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.open = asyncio.Event()

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.open.wait()
            return HttpResponse(200, {}, b"")
        finally:
            self.inside -= 1

    async def close(self) -> None:
        pass


def test_no_more_are_inside_than_allowed_and_all_have_their_turn(loop: LoopThread) -> None:
    async def run() -> int:
        gate = Gate()
        limited = LimitedTransport(gate, in_flight_max=3, waiting_max=100)
        calls = [asyncio.create_task(limited.send(REQUEST, 10)) for _ in range(50)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(*calls)
        assert (limited.in_flight, limited.waiting) == (0, 0)
        return gate.most

    assert loop.run(run()) == 3


def test_all_giving_up_at_once_leaves_all_places_free(loop: LoopThread) -> None:
    async def run(seed: int) -> None:
        random_ = random.Random(seed)
        gate = Gate()
        limited = LimitedTransport(gate, in_flight_max=4, waiting_max=100)
        calls = [asyncio.create_task(limited.send(REQUEST, 10)) for _ in range(40)]
        await asyncio.sleep(0)
        for call in random_.sample(calls, random_.randint(20, 40)):
            call.cancel()
        await asyncio.sleep(0)
        gate.open.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(it, HttpResponse | asyncio.CancelledError) for it in ended)
        assert (limited.in_flight, limited.waiting) == (0, 0)

    for seed in range(50):
        loop.run(run(seed))


def test_too_many_are_refused_and_the_impatient_were_never_sent(loop: LoopThread) -> None:
    async def run() -> None:
        limited = LimitedTransport(Gate(), in_flight_max=1, waiting_max=1)
        inside = asyncio.create_task(limited.send(REQUEST, 10))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(limited.send(REQUEST, 0.01))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await limited.send(REQUEST, 10)
        with pytest.raises(NotSentError, match="too busy"):
            await waiting
        inside.cancel()

    loop.run(run())


def test_what_must_not_be_late_is_not_sent_late(loop: LoopThread) -> None:
    async def run() -> None:
        limited = LimitedTransport(Gate(), in_flight_max=1, waiting_max=1)
        with pytest.raises(NotSentError, match="too late"):
            await limited.send(REQUEST._replace(send_by=0.0), 10)
        assert limited.in_flight == 0

    loop.run(run())
