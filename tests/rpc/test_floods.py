"""Connections that flood a real gateway, seen from them and from those beside them."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from itertools import repeat
from time import monotonic

import pytest

from bench.feed import http2
from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from gateway.rpc import floods
from gateway.rpc.floods import HELD_S, UNEXPLAINED_MAX, Floods
from tests.conftest import StartGateway
from tests.harness import ports
from tests.harness.clock import ManualClock
from tests.harness.gateway import RunningGateway
from tests.harness.http2 import CONTINUATION, PRIORITY, RawClient, message, reset, rpc, stream_ids
from tests.harness.needs import on_linux
from tests.harness.ports import peer

INFO = "/conferencing.v1.EventService/GetFeedInfo"
SUBSCRIBE = "/conferencing.v1.EventService/Subscribe"

# No flood goes on for longer than this, in seconds; most are over within one.
_FLOOD_S = 30.0

# What a header's field of 4,000 bytes looks like that is to be forgotten again (RFC 7541, 6.2.2).
_FIELD = b"\x00\x05x-abc\x7f\xa1\x1e" + b"v" * 4_000


def rapid_reset(path: str, *, with_message: bool) -> Iterator[bytes]:
    ids = stream_ids()
    while True:
        yield b"".join(
            rpc(it, path) + (message(it) if with_message else b"") + reset(it)
            for it in (next(ids) for _ in range(100))
        )


def metadata_flood() -> Iterator[bytes]:
    fields = [(f"x-{number}", "v" * 700) for number in range(9)]
    ids = stream_ids()
    while True:
        yield b"".join(rpc(it, INFO, *fields) + reset(it) for it in (next(ids) for _ in range(20)))


def endless_header() -> Iterator[bytes]:
    head = rpc(1, INFO)[http2.HEAD_BYTES :]
    yield http2.frame(http2.HEADERS, 0, 1, head)
    yield from repeat(http2.frame(CONTINUATION, 0, 1, _FIELD) * 50)


def streams_without_end() -> Iterator[bytes]:
    ids = stream_ids()
    while True:
        yield b"".join(rpc(next(ids), INFO) for _ in range(100))


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "resets": lambda: rapid_reset(INFO, with_message=False),
    "resets after the message": lambda: rapid_reset(INFO, with_message=True),
    "streams that are reset": lambda: rapid_reset(SUBSCRIBE, with_message=True),
    "metadata": metadata_flood,
    "a header without end": endless_header,
    "streams without a message": streams_without_end,
    "settings": lambda: repeat(http2.frame(http2.SETTINGS, 0, 0, b"") * 1_000),
    "priorities": lambda: repeat(http2.frame(PRIORITY, 0, 1, bytes(5)) * 1_000),
    "window updates": lambda: repeat(http2.window_update(0, 1) * 1_000),
    "unknown frames": lambda: repeat(http2.frame(0x55, 0, 0, b"") * 1_000),
}


@pytest.fixture
def flooded(start_gateway: StartGateway) -> RunningGateway:
    return start_gateway()


@on_linux
@pytest.mark.parametrize("kind", FLOODS)
def test_a_connection_that_floods_is_not_read_any_more_and_others_are(
    flooded: RunningGateway, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    stream = flooded.events.Subscribe(SubscribeRequest())
    next(stream)

    with RawClient(str(flooded.app.grpc_address)) as client:
        assert client.wait_for(http2.SETTINGS)
        client.socket.settimeout(1)
        ends_at = monotonic() + _FLOOD_S
        for frames in FLOODS[kind]():
            if not client.send(frames):
                break
            assert monotonic() < ends_at, "the flood goes on"

        assert not client.ended.is_set()
        for _ in range(20):
            flooded.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20)
        (line,) = [it.getMessage() for it in caplog.records if it.levelname == "WARNING"]
        assert client.peer in line
        assert "gateway_grpc_floods_total{" in flooded.app._metrics.text().decode()
    stream.cancel()


def test_a_client_that_gives_up_many_calls_among_others_goes_on(flooded: RunningGateway) -> None:
    calls = [flooded.events.GetFeedInfo.future(GetFeedInfoRequest()) for _ in range(600)]
    for call in calls[::2]:
        call.cancel()

    for call in calls[1::2]:
        call.result(timeout=20)


class Port(ports.Port):
    """A port whose connections are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.explained: dict[str, int] = {}
        self.seen: list[tuple[str, str]] = []
        self.floods = Floods(
            self.number,
            lambda peer: self.explained.pop(peer, 0),
            lambda peer, kind: self.seen.append((peer, kind)),
            self.clock,
        )


@pytest.fixture
def port() -> Iterator[Port]:
    port = Port()
    yield port
    port.close()


def pump(client: socket.socket, ours: socket.socket, size: int) -> None:
    """Have bytes come."""
    sender = threading.Thread(target=client.sendall, args=(bytes(size),))
    sender.start()
    while size:
        size -= len(ours.recv(1 << 20))
    sender.join()


@on_linux
def test_bytes_that_no_call_explains_are_too_many_at_some_time(port: Port) -> None:
    client, ours = port.connect()
    quiet, _ = port.connect()

    pump(client, ours, UNEXPLAINED_MAX)
    port.floods.look()
    assert (port.seen, port.floods.connections) == ([], 2)
    pump(client, ours, 100)
    port.floods.look()

    assert port.seen == [(peer(client), "bytes without a call")]
    quiet.send(b"x")


@on_linux
def test_bytes_that_calls_explain_are_never_too_many(port: Port) -> None:
    client, ours = port.connect()

    for _ in range(4):
        pump(client, ours, UNEXPLAINED_MAX)
        port.explained[peer(client)] = UNEXPLAINED_MAX
        port.floods.look()

    assert port.seen == []


@on_linux
def test_who_is_held_hears_nothing_and_then_the_end(port: Port) -> None:
    client, ours = port.connect()
    ours.setblocking(False)

    port.floods.flooded(peer(client), "calls given up")
    port.floods.flooded(peer(client), "calls given up")
    client.send(b"lost")
    with pytest.raises(BlockingIOError):
        ours.recv(10)
    port.clock.advance(HELD_S - 1)
    port.floods.look()
    with pytest.raises(BlockingIOError):
        ours.recv(10)
    port.clock.advance(2)
    port.floods.look()

    assert (client.recv(10), ours.recv(10)) == (b"", b"")
    assert port.seen == [(peer(client), "calls given up")]


def test_where_the_kernel_cannot_hold_it_the_connection_is_closed_at_once(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floods, "_LINUX", False)
    client, ours = port.connect()

    port.floods.flooded(peer(client), "calls given up")
    port.floods.look()

    assert (client.recv(10), ours.recv(10)) == (b"", b"")


def test_of_a_connection_that_is_gone_nothing_is_said(port: Port) -> None:
    client, ours = port.connect()
    port.floods.look()
    name = peer(client)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
    client.close()
    ours.close()

    port.floods.flooded(name, "calls given up")

    assert port.seen == []
