"""Responses that a client does not read, and calls that hold a place for nothing."""

import asyncio
import math
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import grpc
import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetFeedInfoRequest,
    SubscribeRequest,
)
from gateway import process
from gateway.schema.rest import Safety
from gateway.server.call import SMALL_RESPONSE_BYTES, Call
from gateway.server.grpc.shell import Shell
from gateway.server.hooks import peers, silence
from gateway.server.hooks.peers import STREAMED_PER_CONNECTION_MAX, UNREAD_PER_CONNECTION_MAX
from gateway.server.services import commands
from tests.conftest import StartGateway
from tests.harness.calls import HeldWire, call_of
from tests.harness.clock import ManualClock
from tests.harness.floods import SUBSCRIBE
from tests.harness.gateway import failure_of
from tests.harness.http2 import RawClient, message, rpc
from tests.harness.loop import LoopThread
from tests.harness.refusals import listen, refusals
from tests.harness.served import Serve, Served

MIB = 1024 * 1024
Code = grpc.StatusCode


async def page(call: Call[bytes]) -> bytes:
    return bytes(MIB)


def held(served: Served) -> int:
    return served.budget.held


def open_calls(client: RawClient, path: str, count: int) -> None:
    for number in range(count):
        client.socket.sendall(rpc(2 * number + 1, path) + message(2 * number + 1))


def test_pages_that_a_connection_does_not_read_are_bounded_and_given_back(
    serve: Serve, loop: LoopThread
) -> None:
    served = serve(Page=page)

    with RawClient(f"127.0.0.1:{served.port}", deaf=True, window=0) as deaf:
        open_calls(deaf, "/s/Page", 100)
        taken = UNREAD_PER_CONNECTION_MAX // MIB
        # Those that found no room have ended; the rest wait for their client.
        assert served.codes(100 - taken) == [Code.RESOURCE_EXHAUSTED] * (100 - taken)
        assert held(served) == UNREAD_PER_CONNECTION_MAX
        refused = [it.refused for it in served.ends(100 - taken)]
        assert {it and (it.kind, it.peer) for it in refused} == {("RESPONSES_NOT_READ", deaf.peer)}
        # Other connections have their own.
        assert len(served.call("Page").result()) == MIB
    served.idle()

    assert held(served) == 0


def test_streams_that_a_connection_does_not_read_wait_with_what_they_have(
    serve: Serve, loop: LoopThread
) -> None:
    begun = threading.Semaphore(0)

    async def batches(call: Call[bytes]) -> None:
        begun.release()
        for _ in range(8):
            await call.write(bytes(MIB))

    served = serve(stream=True, Batches=batches)

    with RawClient(f"127.0.0.1:{served.port}", deaf=True, window=0) as deaf:
        open_calls(deaf, "/s/Batches", 50)
        for _ in range(50):
            assert begun.acquire(timeout=20)
        assert len(list(served.stream("Batches"))) == 8
        assert 0 < held(served) <= STREAMED_PER_CONNECTION_MAX
    served.idle()

    assert held(served) == 0


@pytest.mark.slow
def test_a_connection_that_reads_nothing_of_its_streams_is_a_line(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(caplog)
    monkeypatch.setattr(peers, "STREAMED_PER_CONNECTION_MAX", 1)
    monkeypatch.setattr(peers, "STALLED_S", 0.0)
    gateway = start_gateway()
    for _ in range(SMALL_RESPONSE_BYTES // 10_000 + 1):
        gateway.webhooks.event(filling="x" * 10_000)
    everything = SubscribeRequest(position=POSITION_EARLIEST, include_raw=True).SerializeToString()

    # Enough for each stream to open, and not for its events.
    with RawClient(str(gateway.app.grpc_address), window=300) as client:
        for stream in (1, 3):
            client.socket.sendall(rpc(stream, SUBSCRIBE) + message(stream, everything))
        client.wait_for_streams(2)
        ends_at = monotonic() + 20
        while not refusals(caplog) and monotonic() < ends_at:
            gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20)

        (told,) = refusals(caplog)
        assert told.text.startswith("limited a gRPC connection: STREAMS_NOT_READ: its streams wait")
        assert (told.level, told.peer) == ("INFO", client.peer)


def test_a_call_whose_message_does_not_come_is_ended_in_words(
    serve: Serve, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "MESSAGE_S", 0.0)
    served = serve(Page=page)
    method: Any = served.channel.stream_unary("/s/Page")
    go_on = threading.Event()

    def nothing() -> Iterator[bytes]:
        go_on.wait(20)
        yield from ()

    call = method.future(nothing(), timeout=20)
    while not call.done():
        loop.call(served.rules.silence.end_late)

    failure = failure_of(call.result)
    go_on.set()
    assert (failure.code, failure.info.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "message did not arrive" in failure.message
    (end,) = served.ends(1)
    assert end.refused
    assert end.refused.kind == "NO_MESSAGE"


@pytest.mark.parametrize(("hurried", "seconds"), [(False, silence.MESSAGE_S), (True, 1.0)])
def test_a_message_is_waited_for_so_long(hurried: bool, seconds: float) -> None:
    clock = ManualClock()
    waits = silence.Silence(lambda: hurried, clock)
    call: Call[bytes] = Call("s/M", HeldWire(), began=clock.now)
    waits.on_start(call)

    clock.advance(seconds - 0.1)
    waits.end_late()
    assert not call.lacks_message
    clock.advance(0.2)
    waits.end_late()

    assert call.lacks_message


def test_a_call_that_ends_without_a_message_is_told_so(serve: Serve) -> None:
    served = serve(Page=page)
    method: Any = served.channel.stream_unary("/s/Page")

    failure = failure_of(method.future(iter(()), timeout=20).result)

    assert (failure.code, failure.info.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


@pytest.mark.parametrize("years", [10, math.inf])
def test_a_deadline_of_years_is_shortened(years: float) -> None:
    handler = _Handler()
    asked = handler.deadline(years * 365 * 86_400)

    assert asked <= commands.TIMEOUT_MAX_S


class _Handler:
    """A command handler whose client only looks at the deadline."""

    def deadline(self, granted: float) -> float:
        found: list[float] = []

        class Client:
            async def call(self, _: Any, request: Any, deadline: Any, *__: Any, **___: Any) -> None:
                found.append(deadline.remaining())

        handler = commands.CommandHandler(
            (),
            Client(),  # type: ignore[arg-type]
            lambda: "",
            lambda *_: None,
            10.0,
            Shell(()),
            Any,  # type: ignore[arg-type]
        )
        respond = handler._handler(_Binding())  # type: ignore[arg-type]
        wire = HeldWire(left_s=lambda: granted)
        asyncio.run(respond(call_of(c.EndConferenceRequest(), wire)))
        return found[0]


class _Binding:
    safety = Safety.READ
    name = "x"


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["setting", "descriptors"])
def test_connections_beyond_their_number_are_closed(
    start_gateway: StartGateway,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
) -> None:
    listen(caplog)
    if bound == "setting":
        gateway = start_gateway(GATEWAY_GRPC_CONNECTIONS="3")
    else:
        monkeypatch.setattr(process, "descriptors_max", lambda: 10)
        gateway = start_gateway()
    gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20)
    address = str(gateway.app.grpc_address)

    crowd = [RawClient(address) for _ in range(10)]
    over = [it for it in crowd if it.ended.wait(2)]

    assert len(over) >= 7
    gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20)
    for one in crowd:
        one.close()
    (told,) = refusals(caplog)
    text = "limited a gRPC connection: TOO_MANY_CONNECTIONS: 3 are open (the maximum), "
    assert told.text.startswith(text)
    assert (told.level, told.peer) == ("WARNING", "ipv4:127.0.0.1")


def test_a_header_beyond_its_size_is_refused(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    metadata = [(f"x-{number}", "v" * 1_000) for number in range(9)]

    failure = failure_of(gateway.events.GetFeedInfo, GetFeedInfoRequest(), metadata=metadata)

    assert failure.code is Code.RESOURCE_EXHAUSTED
