"""Bounds that gRPC keeps for us, on a real gateway: seen by a client that goes beyond them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_connection

import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from bench.feed import http2
from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from gateway.server.grpc import server
from gateway.server.grpc.server import STREAMS_PER_CONNECTION_MAX
from gateway.server.grpc.sockets import sockets_on
from gateway.server.hooks.peers import CALLS_PER_CONNECTION_MAX
from tests.conftest import StartGateway
from tests.harness.floods import INFO
from tests.harness.gateway import failure_of
from tests.harness.http2 import RawClient, message, rpc
from tests.harness.loop import LoopThread
from tests.harness.readiness import until

pytestmark = pytest.mark.slow

PING = http2.frame(http2.PING, 0, 0, bytes(8))


@contextmanager
def taking_up_nothing(loop: LoopThread) -> Iterator[None]:
    """Have calls that come wait in gRPC."""
    go_on, waits = threading.Event(), threading.Event()

    def wait() -> None:
        waits.set()
        go_on.wait(60)

    loop.loop.call_soon_threadsafe(wait)
    assert waits.wait(20)
    try:
        yield
    finally:
        go_on.set()


def send_calls(client: RawClient, count: int) -> None:
    assert client.wait_for(http2.SETTINGS)
    streams = range(1, 2 * count, 2)
    client.socket.sendall(b"".join(rpc(it, INFO) + message(it) for it in streams))


def test_a_connection_has_so_many_streams_however_many_are_sent_at_once(
    start_gateway: StartGateway, loop: LoopThread
) -> None:
    gateway = start_gateway()
    beyond = 50
    with RawClient(str(gateway.app.grpc_address)) as client:
        with taking_up_nothing(loop):
            send_calls(client, STREAMS_PER_CONNECTION_MAX + beyond)
            assert client.wait_for(http2.RST_STREAM, beyond)
        client.wait_for_streams(STREAMS_PER_CONNECTION_MAX + beyond)

        assert client.frames[http2.RST_STREAM] == beyond


def test_a_connection_full_of_streams_is_told_so_and_asked_for_its_health(
    start_gateway: StartGateway,
) -> None:
    # Client libraries keep calls beyond the number of streams to themselves, and wait.
    assert STREAMS_PER_CONNECTION_MAX > CALLS_PER_CONNECTION_MAX
    gateway = start_gateway()
    streams = [gateway.events.Subscribe(SubscribeRequest()) for _ in range(1_000)]
    for stream in streams:
        next(stream)

    failure = failure_of(gateway.events.GetFeedInfo, GetFeedInfoRequest(), timeout=20)
    health = HealthStub(gateway.channel).Check(HealthCheckRequest(), timeout=20)

    assert failure.info.reason == "GATEWAY_OVERLOADED"
    assert health.status == HealthCheckResponse.SERVING
    for stream in streams:
        stream.cancel()


@pytest.mark.parametrize(
    ("first", "last", "refused"),
    [
        (20, 30, 469),  # all but those that wait and the one that is taken up next
        (20, 1_000, 20),  # some at random, the more the more of them wait
    ],
)
def test_calls_that_wait_to_be_taken_up_are_so_many(
    start_gateway: StartGateway,
    loop: LoopThread,
    monkeypatch: pytest.MonkeyPatch,
    first: int,
    last: int,
    refused: int,
) -> None:
    monkeypatch.setattr(server, "PENDING_CALLS_MAX", first)
    monkeypatch.setattr(server, "PENDING_CALLS_LIMIT", last)
    gateway = start_gateway()
    with RawClient(str(gateway.app.grpc_address)) as client:
        with taking_up_nothing(loop):
            send_calls(client, 500)
            assert client.wait_for(http2.RST_STREAM, refused)
        client.wait_for_streams(500)

        assert first < len(client.answered) <= 500 - refused
    gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20)


def test_who_does_not_begin_to_speak_http2_is_closed(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_MS", 100)
    host, _, port = str(start_gateway().app.grpc_address).rpartition(":")

    with create_connection((host, int(port)), timeout=20) as silent:
        while silent.recv(1_000):
            pass


def test_a_connection_without_a_call_is_closed_and_one_with_a_stream_is_not(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_MS", 200)
    gateway = start_gateway()
    address = str(gateway.app.grpc_address)
    watch = HealthStub(gateway.channel).Watch(HealthCheckRequest(), timeout=60)
    assert next(watch).status == HealthCheckResponse.SERVING
    with RawClient(address) as silent, RawClient(address) as former:
        assert former.wait_for(http2.SETTINGS)
        former.socket.sendall(rpc(1, INFO) + message(1))
        former.wait_for_streams(1)

        assert former.ended.wait(20)
        assert former.answered == {1}
        assert silent.ended.wait(20)
    assert watch.is_active()
    # With the watch's end its connection is idle, too, and a client of it does not notice.
    watch.cancel()
    port = int(address.rpartition(":")[2])
    until(lambda: not list(sockets_on(port, listening=False)))
    gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20)


def test_who_pings_too_often_is_closed(start_gateway: StartGateway) -> None:
    with RawClient(str(start_gateway().app.grpc_address)) as client:
        assert client.wait_for(http2.SETTINGS)
        client.socket.sendall(PING * (server.PING_STRIKES_MAX + 2))

        assert client.ended.wait(20)


def test_who_pings_as_often_as_may_be_is_not(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "PING_INTERVAL_MIN_MS", 0)
    with RawClient(str(start_gateway().app.grpc_address)) as client:
        assert client.wait_for(http2.SETTINGS)
        client.socket.sendall(PING * 100 + rpc(1, INFO) + message(1))

        client.wait_for_streams(1)

        assert client.answered == {1}
