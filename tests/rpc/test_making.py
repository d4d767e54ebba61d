"""Streams make a large response only when its turn has come: until then they hold a place."""

import asyncio
import random
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, SubscribeRequest
from gateway.bytebudget import ByteBudget
from gateway.feed.feed import Feed
from gateway.feed.window import Window
from gateway.journal.ports import Index
from gateway.journal.sqlite import open_log
from gateway.records.calls import CallEnded
from gateway.server.call import SMALL_RESPONSE_BYTES, Call
from gateway.server.errors import invalid_argument
from gateway.server.hooks.admission import Admission
from gateway.server.hooks.peers import (
    MAKING_PER_CONNECTION_MAX,
    STREAMED_PER_CONNECTION_MAX,
    Peers,
)
from gateway.server.services.subscribe import SubscribeStream
from tests.harness.calls import HeldOutflow, HeldWire, call_of
from tests.harness.events import FORMAT, new_event
from tests.harness.http2 import RawClient, message, rpc
from tests.harness.served import Serve
from tests.oracle.stepped import SteppedLoop, run_stepped

MIB = 1024 * 1024

EVENTS = 20


def test_streams_that_a_connection_does_not_read_make_no_more_than_fits(serve: Serve) -> None:
    begun, made = threading.Semaphore(0), []

    async def batches(call: Call[bytes]) -> None:
        begun.release()
        for _ in range(4):
            await call.prepare()
            made.append(call.peer)
            await call.write(bytes(MIB))

    served = serve(stream=True, Batches=batches)

    with RawClient(f"127.0.0.1:{served.port}", deaf=True, window=0) as deaf:
        for number in range(50):
            deaf.socket.sendall(rpc(2 * number + 1, "/s/Batches") + message(2 * number + 1))
        for _ in range(50):
            assert begun.acquire(timeout=20)
        # Another connection has turns and room of its own, and its streams come to their ends.
        for _ in range(10):
            assert len(list(served.stream("Batches"))) == 4
        assert made.count(deaf.peer) == STREAMED_PER_CONNECTION_MAX // MIB + (
            MAKING_PER_CONNECTION_MAX
        )
    served.idle()

    assert served.budget.held == 0


def test_a_turn_ends_with_its_call(serve: Serve) -> None:
    async def fail(call: Call[bytes]) -> None:
        await call.prepare()
        await call.prepare()
        raise invalid_argument([])

    served = serve(stream=True, Fail=fail)

    ends = [served.stream("Fail") for _ in range(3 * MAKING_PER_CONNECTION_MAX)]

    assert {it.code().name for it in ends} == {"INVALID_ARGUMENT"}


class CountedIndex:
    """An index that counts what streams read from it."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        if name in ("read", "raw"):
            self.reads += 1
        return getattr(self._index, name)


class Subscribed:
    """A stream of everything from the beginning, of a log with some events."""

    def __init__(self, loop: SteppedLoop, index: CountedIndex, window: Window) -> None:
        self._loop = loop
        self._feed = Feed(cast("Index", index), window)
        self._answer = SubscribeStream(self._feed, 3_600.0, random.Random(0), loop.time)
        self.outflow = HeldOutflow()
        self.written: list[bytes] = []

    def begin(self, **options: Any) -> "asyncio.Task[None]":
        async def write(response: bytes) -> None:
            self.written.append(response)

        request = SubscribeRequest(
            position=POSITION_EARLIEST, stop_when_caught_up=True, max_batch_events=1_000, **options
        )
        call = call_of(request, HeldWire(write))
        call.outflow = self.outflow
        return asyncio.create_task(self._answer.subscribe(call))


@pytest.mark.parametrize(
    ("window", "size", "raw", "asked"),
    [
        (4, 10, False, 1),  # behind the window
        (100, SMALL_RESPONSE_BYTES // EVENTS + 1, False, 1),  # much of it at once, in the window
        (100, SMALL_RESPONSE_BYTES // EVENTS // 2, False, 0),
        (100, 10, True, 2),  # signed bytes, which are in the log only: in two lots
    ],
)
def test_a_subscriber_waits_for_its_turn_before_it_reads_or_encodes_much(
    tmp_path: Path, window: int, size: int, raw: bool, asked: int
) -> None:
    async def run(loop: SteppedLoop) -> None:
        log = await open_log(tmp_path / "events.db", FORMAT)
        for number in range(EVENTS):
            await log.journal.append(new_event(id_=f"{number}" + "x" * size))
        index = CountedIndex(log.index)
        seen = Subscribed(loop, index, await Window.of(log.index, entries_max=window))

        stream = seen.begin(include_raw=raw)
        await loop.rest()
        opened = 1 if asked else 2
        assert (seen.outflow.asked, len(seen.written), index.reads) == (min(asked, 1), opened, 0)
        seen.outflow.lets.set()
        await stream

        assert seen.outflow.asked == asked
        assert sum(map(len, seen.written)) > EVENTS * size
        await log.close()

    run_stepped(run)


def test_a_small_response_ends_its_turn_as_well() -> None:
    async def run() -> None:
        call = call_of(b"")
        call.outflow = outflow = HeldOutflow()
        outflow.lets.set()
        await call.write(b"first")
        await call.write(b"small")
        assert outflow.sizes == []
        await call.prepare()
        await call.write(b"small as well")
        await call.write(b"small")

        assert outflow.sizes == [len(b"small as well")]

    asyncio.run(run())


def test_who_leaves_while_it_waits_for_its_turn_takes_none() -> None:
    admission = Admission(Peers(ByteBudget()))

    def admitted() -> Call[bytes]:
        call = call_of(b"")
        admission.on_start(call)
        return call

    async def run() -> None:
        first, *others = [admitted() for _ in range(MAKING_PER_CONNECTION_MAX)]
        for call in (first, *others):
            await call.prepare()
        leaver, patient = admitted(), admitted()
        leaving = asyncio.create_task(leaver.prepare())
        waiting = asyncio.create_task(patient.prepare())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        admission.on_end(leaver, CallEnded("s/M", "CANCELLED", 0.0, 0.1))
        await asyncio.sleep(0)
        assert not waiting.done()

        admission.on_end(first, CallEnded("s/M", "OK", 0.0, 0.1))

        await asyncio.wait([waiting], timeout=20)
        assert waiting.done()

    asyncio.run(run())
