"""The admin address of a real gateway under slow, huge and many clients, and beside full ports."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.server.http import protocol, slots
from gateway.server.http.refusals import HEAD_BYTES_MAX, HEADERS_MAX, PIPELINED_MAX
from gateway.server.http.slots import admin_connections_max
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.pages import http_get
from tests.harness.wire import WireResponse, exchange, parsed
from tests.http.serving import read_to_the_end

_ENDLESS = "x" * 2 * HEAD_BYTES_MAX

# Else channels to one address share a connection.
_APART = [("grpc.use_local_subchannel_pool", 1)]

PATHS = ["/healthz", "/readyz", "/metrics"]


def get(path: str, *lines: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "host: x", *lines, "", "")).encode()


class Clients:
    """Connections to one address, all of which are open until the end."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._open = ExitStack()

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = self._open.enter_context(socket.create_connection(self._address, 20))
        connection.sendall(sent)
        return connection

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def gateway(start_gateway: StartGateway) -> RunningGateway:
    return start_gateway()


@pytest.fixture
def admin(gateway: RunningGateway) -> Iterator[Clients]:
    clients = Clients(gateway.admin_address)
    yield clients
    clients.close()


def is_well(gateway: RunningGateway) -> bool:
    """Whether probes and scrapers get what they ask for."""
    return [http_get(gateway.admin_address, it)[0] for it in PATHS] == [200] * 3


def the_one(connection: socket.socket) -> WireResponse:
    """The only response on a connection, which is closed after it."""
    (response,), rest = parsed(read_to_the_end(connection))
    assert rest == b""
    return response


@pytest.mark.parametrize("path", PATHS)
def test_what_is_too_much_is_refused_in_words(admin: Clients, path: str) -> None:
    lines = ["x: y"] * HEADERS_MAX
    assert the_one(admin.connect(get(path, *lines))).status == 431
    for endless in (get(path + "?" + _ENDLESS), get(path, "x: " + _ENDLESS)):
        assert the_one(admin.connect(endless[: HEAD_BYTES_MAX + 1])).status == 431
    # A body is nothing that anybody asks with: it is not read, however large it says that it is.
    assert the_one(admin.connect(get(path, f"content-length: {10**12}") + b"x")).status == 200


@pytest.mark.parametrize("path", PATHS)
def test_who_is_slow_is_closed(admin: Clients, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.1)
    monkeypatch.setattr(protocol, "BODY_S", 0.1)

    assert the_one(admin.connect(get(path)[:-3])).status == 408
    assert read_to_the_end(admin.connect()) == b""
    body_to_come = get(path, "transfer-encoding: chunked") + b"5\r\nxx"
    assert the_one(admin.connect(body_to_come)).status == 200


@pytest.mark.parametrize("path", PATHS)
def test_requests_without_waiting_are_so_many(admin: Clients, path: str) -> None:
    answered, rest = parsed(read_to_the_end(admin.connect(get(path) * (PIPELINED_MAX * 10))))

    assert rest == b""
    assert {it.status for it in answered} <= {200, 429}
    assert len(answered) <= PIPELINED_MAX + 2


@pytest.mark.parametrize("sent", [b"", get("/metrics")[:-2], *map(get, PATHS)])
def test_many_connections_keep_nobody_out(
    gateway: RunningGateway, admin: Clients, sent: bytes
) -> None:
    for _ in range(admin_connections_max() + 10):
        admin.connect(sent)

    assert is_well(gateway)


def test_health_has_places_of_its_own_while_all_others_are_taken(
    start_gateway: StartGateway, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "CONNECTIONS_MAX", 4)
    gateway = start_gateway(GATEWAY_GRPC_CONNECTIONS="4")
    address = str(gateway.app.grpc_address)
    let, begun = loop.call(asyncio.Event), threading.Semaphore(0)
    append = gateway.log.journal.append

    async def held(event: Any) -> Any:
        begun.release()
        await let.wait()
        return await append(event)

    monkeypatch.setattr(gateway.log.journal, "append", held)
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(4))
        stack.callback(loop.call, let.set)
        posted = [pool.submit(gateway.webhooks.event) for _ in range(4)]
        assert all(begun.acquire(timeout=20) for _ in posted)
        calls = [stack.enter_context(grpc.insecure_channel(address, _APART)) for _ in range(5)]
        *found, beyond = (EventServiceStub(it).GetFeedInfo for it in calls)
        for info in found:
            info(GetFeedInfoRequest(), timeout=20)

        # Before it has sent anything.
        (refused,) = exchange(gateway.http_address)
        assert (refused.status, refused.reason) == (503, "TOO_MANY_CONNECTIONS")
        assert failure_of(beyond, GetFeedInfoRequest()).code is grpc.StatusCode.UNAVAILABLE
        assert is_well(gateway)

        loop.call(let.set)
        assert all(it.result(20) for it in posted)


def test_webhooks_and_calls_have_theirs_while_those_for_health_are_taken(
    gateway: RunningGateway, admin: Clients
) -> None:
    held = [admin.connect(get("/metrics")) for _ in range(admin_connections_max() + 10)]
    assert held[0].recv(65_536)

    gateway.webhooks.event()
    gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20)
