"""The limit on requests in flight: one account of each, from its sending to its real end."""

import asyncio
import random

import pytest

from gateway.upstream.sending.limit import LimitedTransport, SentRequest
from gateway.upstream.transport import (
    HttpRequest,
    HttpResponse,
    NotSentError,
    OverloadedError,
    UnansweredError,
)
from tests.harness.loop import LoopThread

QUERY = HttpRequest("GET", "http://x/", {})
COMMAND = HttpRequest("POST", "http://x/", {})
LONG = 3_600.0


class Gate:
    """A transport whose requests end when they are let through, or where it can end them early."""

    def __init__(self, *, can_end: bool = False) -> None:
        self._can_end = can_end
        self._ends: dict[int, asyncio.Event] = {}
        self.inside = 0
        self.most = 0
        self.ended = 0
        self.open = asyncio.Event()

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        ends = self._ends[id(request)] = asyncio.Event()
        self.inside += 1
        self.most = max(self.most, self.inside)
        waits = [asyncio.ensure_future(event.wait()) for event in (self.open, ends)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            self.inside -= 1
        if ends.is_set():
            self.ended += 1
            raise UnansweredError("given up")
        return HttpResponse(200, {}, b"")

    def end(self, request: HttpRequest) -> None:
        if self._can_end:
            self._ends[id(request)].set()

    async def close(self) -> None:
        pass


async def turn() -> None:
    """Let everything happen that can."""
    for _ in range(8):
        await asyncio.sleep(0)


def start(limited: LimitedTransport, request: HttpRequest = COMMAND) -> SentRequest:
    # Each its own: requests are told apart by identity.
    return limited.start(
        request._replace(), until=asyncio.get_running_loop().time() + LONG, longest_s=LONG
    )


def now() -> float:
    return asyncio.get_running_loop().time()


def test_no_more_are_inside_than_allowed_and_all_have_their_turn(loop: LoopThread) -> None:
    async def run() -> int:
        gate = Gate()
        limited = LimitedTransport(gate, in_flight_max=3, waiting_max=100, now=now)
        sent = [start(limited) for _ in range(50)]
        await turn()
        assert (limited.in_flight, limited.waiting) == (3, 47)
        gate.open.set()
        await asyncio.gather(*(it.ended for it in sent))
        assert (limited.in_flight, limited.waiting) == (0, 0)
        return gate.most

    assert loop.run(run()) == 3


@pytest.mark.parametrize("can_end", [True, False])
@pytest.mark.parametrize("request_", [QUERY, COMMAND])
def test_all_giving_up_at_once_leaves_all_places_free(
    loop: LoopThread, can_end: bool, request_: HttpRequest
) -> None:
    async def run(seed: int) -> None:
        random_ = random.Random(seed)
        gate = Gate(can_end=can_end)
        limited = LimitedTransport(gate, in_flight_max=4, waiting_max=100, now=now)
        sent = [start(limited, request_) for _ in range(40)]
        await turn()
        for it in random_.sample(sent, random_.randint(20, 40)):
            it.give_up()
            it.give_up()  # twice is once
        await turn()
        assert limited.in_flight <= 8
        gate.open.set()
        ended = await asyncio.gather(*(it.ended for it in sent), return_exceptions=True)
        assert all(
            isinstance(it, HttpResponse | asyncio.CancelledError | UnansweredError) for it in ended
        )
        assert (limited.in_flight, limited.abandoned, limited.waiting) == (0, 0, 0)

    for seed in range(50):
        loop.run(run(seed))


def test_a_request_is_counted_until_it_has_ended_whoever_waits_for_it(loop: LoopThread) -> None:
    async def run() -> None:
        gate = Gate()
        limited = LimitedTransport(gate, in_flight_max=2, waiting_max=0, now=now)
        for it in [start(limited), start(limited)]:
            await turn()
            it.give_up()
        assert (limited.in_flight, limited.abandoned, gate.inside) == (2, 2, 2)

        # Their places are free for others, whose callers wait.
        attended = [start(limited), start(limited)]
        await turn()
        assert (limited.in_flight, limited.abandoned, gate.inside) == (4, 2, 4)

        # Beyond that, nothing waits for what may never end: it is refused at once.
        with pytest.raises(OverloadedError, match="2 of them abandoned"):
            await start(limited).ended

        gate.open.set()
        await asyncio.gather(*(it.ended for it in attended))
        await turn()
        assert limited.in_flight == 0

    loop.run(run())


def test_a_query_is_ended_on_the_wire_where_the_transport_can(loop: LoopThread) -> None:
    async def run(can_end: bool, request: HttpRequest) -> int:
        gate = Gate(can_end=can_end)
        limited = LimitedTransport(gate, 1, 1, now)
        sent = start(limited, request)
        await turn()
        sent.give_up()
        await turn()
        await limited.close()
        return gate.ended

    assert loop.run(run(True, QUERY)) == 1
    # What a command does is not undone by closing its connection; its end is worth knowing.
    assert loop.run(run(True, COMMAND)) == 0
    assert loop.run(run(False, QUERY)) == 0


def test_too_many_are_refused_at_once(loop: LoopThread) -> None:
    async def run() -> None:
        gate = Gate()
        limited = LimitedTransport(gate, in_flight_max=1, waiting_max=1, now=now)
        first, second = start(limited), start(limited)
        await turn()
        with pytest.raises(OverloadedError, match=r"1 requests .* in flight and 1 wait"):
            await start(limited).ended
        gate.open.set()
        await asyncio.gather(first.ended, second.ended)

    loop.run(run())


def test_one_that_gives_up_in_the_queue_never_leaves(loop: LoopThread) -> None:
    async def run() -> None:
        gate = Gate()
        limited = LimitedTransport(gate, in_flight_max=1, waiting_max=5, now=now)
        first, second, third = (start(limited) for _ in range(3))
        await turn()
        second.give_up()
        await turn()
        assert (second.ended.cancelled(), second.left_at, limited.waiting) == (True, None, 1)
        gate.open.set()
        await asyncio.gather(first.ended, third.ended)
        assert gate.most == 1

    loop.run(run())


@pytest.mark.parametrize("late", ["send_by", "until"])
def test_what_must_not_be_late_is_not_sent_late(loop: LoopThread, late: str) -> None:
    async def run() -> None:
        gate = Gate()
        limited = LimitedTransport(gate, 1, 1, now)
        past, future = now() - 1, now() + LONG
        request = COMMAND._replace(send_by=past if late == "send_by" else future)
        with pytest.raises(NotSentError):
            await limited.start(request, past if late == "until" else future, LONG).ended
        assert (gate.most, limited.in_flight) == (0, 0)

    loop.run(run())
