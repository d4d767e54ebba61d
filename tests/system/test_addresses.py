"""The three addresses of a gateway: what is where, on sockets of every kind."""

import http.client
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.server.http.slots import ADMIN_CONNECTIONS_MAX
from gateway.socketfile import SocketFilePlace
from tests.conftest import StartGateway
from tests.harness.pages import http_get
from tests.harness.refusals import refusals
from tests.harness.webhooks import Signer, webhook

ADMIN_PATHS = ("/healthz", "/readyz", "/metrics")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def ask(path: Path, request: bytes) -> bytes:
    """Send a request to a socket file; returns the whole response."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(request)
        response = http.client.HTTPResponse(client)
        response.begin()
        return b"%d %b" % (response.status, response.read())


def post(path: Path) -> bytes:
    body = webhook()
    lines = "".join(f"{name}: {value}\r\n" for name, value in Signer().telnyx(body).items())
    head = f"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{lines}"
    return ask(path, f"{head}\r\n".encode() + body)


def test_each_address_serves_its_own_paths_and_says_where_others_are(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway()

    assert [http_get(gateway.admin_address, it)[0] for it in ADMIN_PATHS] == [200] * 3
    for path in (*ADMIN_PATHS, "/", "/webhooks/telnyx/more"):
        status, text = http_get(gateway.http_address, path)
        assert status == 404
        assert "health and metrics are on the admin address (GATEWAY_ADMIN_ADDRESS)" in text
    for path in ("/webhooks/telnyx", "/"):
        status, text = http_get(gateway.admin_address, path)
        assert (status, "there are /healthz, /readyz, /metrics and" in text) == (404, True)


def test_admin_responds_while_every_place_for_webhooks_is_busy(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.app.connections_max", lambda: 1)
    gateway = start_gateway()
    host, _, port = gateway.http_address.rpartition(":")

    with socket.create_connection((host, int(port)), timeout=20) as holds:
        # It waits for its response: nobody may take its place.
        holds.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert [http_get(gateway.admin_address, it)[0] for it in ADMIN_PATHS] == [200] * 3


def test_idle_connections_to_admin_give_way_and_that_is_counted(
    start_gateway: StartGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway()
    host, _, port = gateway.admin_address.rpartition(":")
    address = host, int(port)
    silent = [
        socket.create_connection(address, timeout=20) for _ in range(ADMIN_CONNECTIONS_MAX + 5)
    ]

    assert http_get(gateway.admin_address, "/healthz") == (200, "ok\n")

    assert 'kind="TOO_MANY_CONNECTIONS",subject="admin_connection"' in gateway.metrics()
    assert {it.text for it in refusals(caplog)} == {
        "closed an admin connection: TOO_MANY_CONNECTIONS"
    }
    for one in silent:
        one.close()


def test_all_three_on_socket_files(start_gateway: StartGateway, folder: Path) -> None:
    at = {name: folder / f"{name.lower()}.sock" for name in ("GRPC", "HTTP", "ADMIN")}
    settings = {f"GATEWAY_{name}_ADDRESS": f"unix:{path}" for name, path in at.items()}
    gateway = start_gateway(**settings)

    assert ask(at["ADMIN"], b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n") == b"200 ok\n"
    assert post(at["HTTP"]).startswith(b"200 ")
    with grpc.insecure_channel(f"unix:{at['GRPC']}") as channel:
        events = EventServiceStub(channel)
        assert events.GetFeedInfo(GetFeedInfoRequest(), timeout=20).event_count == 1
        stream = events.Subscribe(SubscribeRequest())
        next(stream)
        for path in at.values():
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert sorted(it.name for it in folder.iterdir()) == sorted(it.name for it in at.values())

        # A shutdown ends streams in order, and leaves no file.
        gateway.stop()
        assert list(stream)[-1].HasField("drain")
        assert stream.code() is grpc.StatusCode.OK
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["GRPC", "HTTP", "ADMIN"])
def test_the_file_of_a_dead_process_is_replaced_and_that_of_a_live_one_is_not(
    start_gateway: StartGateway, folder: Path, name: str
) -> None:
    path = folder / "s"
    setting = {f"GATEWAY_{name}_ADDRESS": f"unix:{path}"}
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(OSError, match=f"on unix:{path}: another process listens on it"):
            start_gateway(**setting)
        assert path.is_socket()

    gateway = start_gateway(**setting)

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    gateway.stop()
    assert not path.exists()


def test_a_file_that_is_no_socket_stays(start_gateway: StartGateway, folder: Path) -> None:
    path = folder / "notes"
    path.write_text("mine")

    for name in ("GRPC", "HTTP"):
        with pytest.raises(OSError, match="there is a file that is no socket"):
            start_gateway(**{f"GATEWAY_{name}_ADDRESS": f"unix:{path}"})

    assert path.read_text() == "mine"
    with pytest.raises(OSError, match="No such file or directory"):
        start_gateway(GATEWAY_HTTP_ADDRESS=f"unix:{folder}/none/s")


def test_the_file_of_a_successor_is_left_alone(folder: Path) -> None:
    path, served = folder / "s", []
    first, second = SocketFilePlace(path), SocketFilePlace(path)
    for place in (first, second):
        with place.hidden() as hidden, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(hidden))
            served.append(os.stat(hidden).st_ino)

    first.remove()
    assert path.stat().st_ino == served[1]
    second.remove()
    assert not path.exists()


def test_ipv6(start_gateway: StartGateway) -> None:
    settings = {f"GATEWAY_{name}_ADDRESS": "[::1]:0" for name in ("GRPC", "HTTP", "ADMIN")}
    gateway = start_gateway(**settings)

    assert http_get(gateway.admin_address, "/healthz") == (200, "ok\n")
    assert gateway.webhooks.post(webhook()).status == 200
    assert gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20).event_count == 1
    assert gateway.admin_address.startswith("[::1]:")


def test_every_interface_with_a_word_that_it_is_guarded(start_gateway: StartGateway) -> None:
    names = ("GRPC", "HTTP", "ADMIN")
    open_ = {f"GATEWAY_{name}_ADDRESS": "0.0.0.0:0" for name in names}
    gateway = start_gateway(**open_, **{f"GATEWAY_{name}_TRUST": "network" for name in names})

    port = gateway.admin_address.rpartition(":")[2]
    assert http_get(f"127.0.0.2:{port}", "/healthz") == (200, "ok\n")
