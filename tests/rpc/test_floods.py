"""Connections that flood a real gateway, seen from them and from those beside them."""

import asyncio
import errno
import logging
import os
import re
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator, Set
from time import monotonic

import pytest

from bench.feed import http2
from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from gateway.records.connections import ConnectionClosed, ConnectionHeld
from gateway.server.grpc import floods
from gateway.server.grpc.floods import HELD_S, UNEXPLAINED_MAX, UNEXPLAINED_PER_S, Floods
from gateway.server.grpc.sockets import Bound, Descriptor, Looked, connections_on
from tests.conftest import StartGateway
from tests.harness import ports
from tests.harness.clock import ManualClock
from tests.harness.floods import FLOODS
from tests.harness.gateway import RunningGateway
from tests.harness.http2 import RawClient
from tests.harness.needs import on_linux
from tests.harness.ports import peer
from tests.harness.refusals import refusals

pytestmark = pytest.mark.slow

# No flood goes on for longer than this, in seconds; most are over within one.
_FLOOD_S = 30.0

_REFUSED = "refused a call: TOO_MANY_CALLS_ON_CONNECTION: "


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
        told = refusals(caplog)
        # Until it is held, its calls beyond those it may have are refused, each with a line.
        (line,) = [it for it in told if not it.text.startswith(_REFUSED)]
        held = re.fullmatch(r"limited a gRPC connection: (\w+): nothing of it is .*", line.text)
        assert held, line.text
        assert held[1] in ("CALLS_GIVEN_UP", "BYTES_WITHOUT_CALL")
        assert {(it.level, it.peer) for it in told} == {("WARNING", client.peer)}
        assert len(told) == sum(it.levelno >= logging.WARNING for it in caplog.records)
        counted = f'gateway_refusals_total{{kind="{held[1]}",subject="grpc_connection"}} 1.0'
        assert counted in flooded.metrics()
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
        self.seen: list[ConnectionHeld | ConnectionClosed] = []
        self.floods = Floods(
            self.number,
            lambda peer: self.explained.pop(peer, 0),
            self.seen.append,
            self.clock,
        )

    def look(self) -> None:
        asyncio.run(self.floods.look())


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
    port.look()
    assert (port.seen, len(port.floods.connections)) == ([], 2)
    pump(client, ours, 100)
    port.look()

    assert port.seen == [ConnectionHeld(peer(client), "BYTES_WITHOUT_CALL", HELD_S)]
    quiet.send(b"x")


@on_linux
def test_bytes_that_no_call_explains_may_be_so_many_a_second(port: Port) -> None:
    client, ours = port.connect()
    pump(client, ours, UNEXPLAINED_MAX)
    port.look()
    port.clock.advance(2)

    pump(client, ours, 2 * UNEXPLAINED_PER_S)
    port.look()
    assert port.seen == []
    pump(client, ours, 100)
    port.look()

    assert len(port.seen) == 1


@on_linux
def test_bytes_that_calls_explain_are_never_too_many(port: Port) -> None:
    client, ours = port.connect()

    for _ in range(4):
        pump(client, ours, UNEXPLAINED_MAX)
        port.explained[peer(client)] = UNEXPLAINED_MAX
        port.look()

    assert port.seen == []


@on_linux
def test_who_is_held_hears_nothing_and_then_the_end(port: Port) -> None:
    client, ours = port.connect()
    ours.setblocking(False)
    name, began = peer(client), port.clock()
    port.look()

    port.floods.flooded(peer(client), "CALLS_GIVEN_UP")
    port.floods.flooded(peer(client), "CALLS_GIVEN_UP")
    client.send(b"lost")
    with pytest.raises(BlockingIOError):
        ours.recv(10)
    port.clock.advance(HELD_S - 1)
    port.look()
    with pytest.raises(BlockingIOError):
        ours.recv(10)
    port.clock.advance(2)
    port.look()

    port.look()

    assert (client.recv(10), ours.recv(10)) == (b"", b"")
    assert port.seen == [
        ConnectionHeld(name, "CALLS_GIVEN_UP", HELD_S),
        ConnectionClosed(name, "CALLS_GIVEN_UP", began, HELD_S + 1),
    ]


@on_linux
def test_who_floods_before_it_was_looked_at_is_held_by_a_look_that_is_asked_for(
    port: Port,
) -> None:
    async def is_asked_for() -> bool:
        asked = asyncio.ensure_future(port.floods.sought())
        await asyncio.sleep(0)  # the task's one step
        return asked.done()

    client, _ = port.connect()
    port.floods.flooded(peer(client), "CALLS_GIVEN_UP")
    assert (port.seen, asyncio.run(is_asked_for())) == ([], True)

    port.look()

    assert port.seen == [ConnectionHeld(peer(client), "CALLS_GIVEN_UP", HELD_S)]
    assert not asyncio.run(is_asked_for())


@on_linux
def test_who_floods_while_a_look_is_made_is_held_by_the_next(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients: list[socket.socket] = []

    def looked_too_early(bound: Bound, seen: Set[Descriptor], met: Set[Descriptor]) -> Looked:
        looked = connections_on(bound, seen, met)
        if not clients:
            clients.append(port.connect()[0])
            port.floods.flooded(peer(clients[0]), "CALLS_GIVEN_UP")
        return looked

    monkeypatch.setattr(floods, "connections_on", looked_too_early)
    port.look()
    assert port.seen == []
    port.look()

    assert port.seen == [ConnectionHeld(peer(clients[0]), "CALLS_GIVEN_UP", HELD_S)]


@on_linux
def test_who_could_not_be_looked_at_for_want_of_descriptors_is_held_all_the_same(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(number: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def looks() -> None:  # in one loop: another has sockets of its own, which are new
        with monkeypatch.context() as patched:
            patched.setattr(os, "dup", none_left)
            await port.floods.look()
        assert port.floods.connections == []
        port.floods.flooded(peer(client), "CALLS_GIVEN_UP")
        await port.floods.look()

    client, _ = port.connect()
    asyncio.run(looks())

    assert port.seen == [ConnectionHeld(peer(client), "CALLS_GIVEN_UP", HELD_S)]


def test_where_the_kernel_cannot_hold_it_the_connection_is_closed_at_once(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floods, "_LINUX", False)
    client, ours = port.connect()
    name = peer(client)
    port.look()

    port.floods.flooded(name, "CALLS_GIVEN_UP")

    seen = [
        ConnectionHeld(name, "CALLS_GIVEN_UP", 0.0),
        ConnectionClosed(name, "CALLS_GIVEN_UP", port.clock(), 0.0),
    ]
    assert port.seen == seen
    port.look()
    assert (client.recv(10), ours.recv(10)) == (b"", b"")
    assert port.seen == seen


def test_of_a_connection_that_is_gone_nothing_is_said(port: Port) -> None:
    client, ours = port.connect()
    port.look()
    name = peer(client)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
    client.close()
    ours.close()

    port.floods.flooded(name, "CALLS_GIVEN_UP")

    assert port.seen == []


def test_on_a_socket_file_nobody_is_held_but_all_are_counted() -> None:
    seen: list[ConnectionHeld | ConnectionClosed] = []
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/s"
        listener.bind(path)
        listener.listen()
        on_file = Floods(path, lambda peer: 0, seen.append, ManualClock())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            ours, _ = listener.accept()
            with ours:
                pump(client, ours, UNEXPLAINED_MAX + 100)
                asyncio.run(on_file.look())
                on_file.flooded("unix:", "CALLS_GIVEN_UP")
                asyncio.run(on_file.look())
                client.send(b"x")
                assert ours.recv(10) == b"x"
                assert on_file.connections == ["unix:"]
    assert seen == []
