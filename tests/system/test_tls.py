"""A gateway in TLS, over real sockets with real certificates."""

import http.client
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.server.http.slots import ADMIN_CONNECTIONS_MAX
from tests.conftest import StartGateway
from tests.harness.certificates import Authority, Issued
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.refusals import refusals
from tests.harness.webhooks import webhook

CA, STRANGER = Authority("ours"), Authority("a stranger's")
SERVER, CLIENT = CA.server(), CA.client("backend", uris=["spiffe://mesh.example/ns/a/sa/backend"])
NAMES = ("GRPC", "HTTP", "ADMIN")


class Served:
    """A gateway with one certificate for all addresses, and clients of it."""

    def __init__(self, start: StartGateway, folder: Path, client_ca: bool, **env: str) -> None:
        self.folder = folder
        cert, key = SERVER.write(folder, "server")
        settings: dict[str, str] = {}
        for name in NAMES:
            settings |= {f"GATEWAY_{name}_TLS_CERT": f"{cert}", f"GATEWAY_{name}_TLS_KEY": f"{key}"}
            if client_ca:
                settings[f"GATEWAY_{name}_TLS_CLIENT_CA"] = f"{CA.write(folder)}"
        self.gateway: RunningGateway = start(**settings, **env)
        self._channels: list[grpc.Channel] = []

    def events(self, client: Issued | None = None, ca: Authority = CA) -> EventServiceStub:
        """Stubs on a connection of their own."""
        pair = (client.key, client.cert) if client else (None, None)
        channel = grpc.secure_channel(
            str(self.gateway.app.grpc_address),
            grpc.ssl_channel_credentials(ca.pem, *pair),
            [("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "localhost")],
        )
        self._channels.append(channel)
        return EventServiceStub(channel)

    def open(self, address: str, client: Issued | None = None, **limits: Any) -> ssl.SSLSocket:
        """Shake hands with an address."""
        context = ssl.create_default_context(cadata=CA.pem.decode())
        for name, limit in limits.items():
            setattr(context, name, limit)
        if client is not None:
            context.load_cert_chain(*client.write(self.folder, "client"))
        host, _, port = address.rpartition(":")
        raw = socket.create_connection((host, int(port)), timeout=20)
        try:
            return context.wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise

    def ask(
        self, address: str, client: Issued | None = None, path: str = "/healthz", body: bytes = b""
    ) -> tuple[int, bytes]:
        """Get a page, or post a webhook."""
        with self.open(address, client) as connection:
            signed = self.gateway.signer.telnyx(body) if body else {}
            lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
            method = "POST" if body else "GET"
            head = f"{method} {path} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(body)}\r\n"
            connection.sendall(f"{head}\r\n".encode() + body)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, response.read()

    def serial(self, address: str, client: Issued | None = None) -> int:
        """The number of the certificate that an address is served with."""
        with self.open(address, client) as connection:
            found = connection.getpeercert()
            assert found is not None
            return int(str(found["serialNumber"]), 16)

    @property
    def addresses(self) -> list[str]:
        app = self.gateway.app
        return [str(it) for it in (app.http_address, app.admin_address)]

    def close(self) -> None:
        for channel in self._channels:
            channel.close()


@pytest.fixture
def served(start_gateway: StartGateway, tmp_path: Path) -> Iterator[Served]:
    served = Served(start_gateway, tmp_path, client_ca=False)
    yield served
    served.close()


@pytest.fixture
def mutual(start_gateway: StartGateway, tmp_path: Path) -> Iterator[Served]:
    """A gateway that asks its clients for certificates."""
    served = Served(start_gateway, tmp_path, client_ca=True)
    yield served
    served.close()


def look(served: Served, loop: LoopThread) -> None:
    for name in ("grpc", "http", "admin"):
        current = served.gateway.app.certificates.of(name)
        assert current is not None
        loop.run(current.look())


def until(condition: Any) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


INFO = GetFeedInfoRequest()


def test_all_three_addresses_in_tls(served: Served) -> None:
    app = served.gateway.app

    assert served.ask(str(app.admin_address)) == (200, b"ok\n")
    assert served.ask(str(app.http_address), path="/webhooks/telnyx", body=webhook())[0] == 200
    assert served.events().GetFeedInfo(INFO, timeout=20).event_count == 1
    _, metrics = served.ask(str(app.admin_address), path="/metrics")
    found = re.findall(rb'gateway_certificate_expiry_seconds{address="(\w+)"} (\S+)', metrics)
    assert [name for name, _ in found] == [b"grpc", b"http", b"admin"]
    # They are good for a day, and were made when the tests began.
    assert all(3_600 < float(at) - time.time() <= 86_400 for _, at in found)


def test_tls_on_socket_files(start_gateway: StartGateway, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        at = {f"GATEWAY_{name}_ADDRESS": f"unix:{folder}/{name}" for name in NAMES}
        served = Served(start_gateway, tmp_path, client_ca=True, **at)
        events = served.events(CLIENT)
        assert events.GetFeedInfo(INFO, timeout=20).event_count == 0
        context = ssl.create_default_context(cadata=CA.pem.decode())
        context.load_cert_chain(*CLIENT.write(tmp_path, "client"))
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(f"{folder}/ADMIN")
            with context.wrap_socket(raw, server_hostname="localhost") as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.1 200")
        served.close()
        served.gateway.close()
        assert list(Path(folder).iterdir()) == []


def test_who_speaks_in_clear_to_it_or_knows_another_authority_gets_nothing(served: Served) -> None:
    app = served.gateway.app

    in_clear = failure_of(served.gateway.events.GetFeedInfo, INFO, timeout=5)
    stranger = failure_of(served.events(ca=STRANGER).GetFeedInfo, INFO, timeout=5)
    assert in_clear.code is stranger.code is grpc.StatusCode.UNAVAILABLE
    for address in (str(app.http_address), str(app.admin_address)):
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"HTTP" not in plain.recv(100)


def test_old_versions_of_tls_are_refused(served: Served) -> None:
    app = served.gateway.app
    for address in (str(app.http_address), str(app.admin_address), str(app.grpc_address)):
        with pytest.warns(DeprecationWarning, match="TLSv1"), pytest.raises(ssl.SSLError):
            served.open(
                address,
                maximum_version=ssl.TLSVersion.TLSv1_1,
                minimum_version=ssl.TLSVersion.TLSv1,
            )
        with served.open(address, maximum_version=ssl.TLSVersion.TLSv1_2) as connection:
            assert connection.version() == "TLSv1.2"


def test_with_a_client_ca_only_its_clients_get_in(mutual: Served) -> None:
    app = mutual.gateway.app
    strange = STRANGER.client("backend")
    expired = CA.client("backend", expires_in=timedelta(seconds=-1))

    assert mutual.events(CLIENT).GetFeedInfo(INFO, timeout=20).event_count == 0
    for client in (None, strange, expired):
        refused = failure_of(mutual.events(client).GetFeedInfo, INFO, timeout=5)
        assert refused.code is grpc.StatusCode.UNAVAILABLE
    for address in mutual.addresses:
        assert mutual.ask(address, CLIENT)[0] in (200, 404)
        for client in (None, strange):
            # In TLS 1.3 a client hears of it with the first thing that it reads.
            with pytest.raises((OSError, http.client.HTTPException)):
                mutual.ask(address, client)
    assert mutual.ask(str(app.admin_address), CLIENT) == (200, b"ok\n")


def test_a_new_pair_is_served_to_new_connections_and_open_streams_go_on(
    mutual: Served, loop: LoopThread
) -> None:
    gateway, second = mutual.gateway, CA.server("127.0.0.1", "localhost", "new.example")
    admin, http_ = str(gateway.app.admin_address), str(gateway.app.http_address)
    grpc_ = str(gateway.app.grpc_address)
    stream = mutual.events(CLIENT).Subscribe(SubscribeRequest())
    next(stream)
    with mutual.open(admin, CLIENT) as held:
        before = {mutual.serial(it, CLIENT) for it in (admin, http_, grpc_)}

        second.write(mutual.folder, "server")
        # By itself, within a second or two.
        until(lambda: mutual.serial(grpc_, CLIENT) not in before)
        until(lambda: not before & {mutual.serial(it, CLIENT) for it in (admin, http_)})

        after = {mutual.serial(it, CLIENT) for it in (admin, http_, grpc_)}
        assert (len(before), len(after), before & after) == (1, 1, set())
        assert mutual.events(CLIENT).GetFeedInfo(INFO, timeout=20).event_count == 0
        body = webhook(id_="after")
        assert mutual.ask(http_, CLIENT, "/webhooks/telnyx", body)[0] == 200
        assert next(stream).events[0].id == "after"
        held.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert held.recv(100).startswith(b"HTTP/1.1 200")


def test_a_pair_that_does_not_fit_is_refused_and_the_old_one_goes_on(
    served: Served, loop: LoopThread, caplog: pytest.LogCaptureFixture
) -> None:
    app = served.gateway.app
    addresses = [str(it) for it in (app.grpc_address, app.http_address, app.admin_address)]
    before = {served.serial(it) for it in addresses}

    (served.folder / "server.pem").write_bytes(CA.server().cert)
    for _ in range(3):
        look(served, loop)

    assert {served.serial(it) for it in addresses} == before
    assert served.events().GetFeedInfo(INFO, timeout=20).event_count == 0
    told = [it.getMessage() for it in caplog.records if it.levelname == "ERROR"]
    assert [it.split(":")[0] for it in told] == ["TLS on grpc", "TLS on http", "TLS on admin"]
    assert "GATEWAY_GRPC_TLS_KEY is not the key of" in told[0]


def test_clients_of_a_ca_that_is_no_longer_trusted_are_refused(
    mutual: Served, loop: LoopThread
) -> None:
    admin = str(mutual.gateway.app.admin_address)
    newcomer = STRANGER.client("newcomer")

    (mutual.folder / "ca.pem").write_bytes(STRANGER.pem)
    look(mutual, loop)

    assert mutual.events(newcomer).GetFeedInfo(INFO, timeout=20).event_count == 0
    assert mutual.ask(admin, newcomer) == (200, b"ok\n")
    refused = failure_of(mutual.events(CLIENT).GetFeedInfo, INFO, timeout=5)
    assert refused.code is grpc.StatusCode.UNAVAILABLE
    with pytest.raises((OSError, http.client.HTTPException)):
        mutual.ask(admin, CLIENT)


def has_ended(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def test_who_never_shakes_hands_holds_a_slot_and_gives_way(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    address = str(served.gateway.app.admin_address)
    host, _, port = address.rpartition(":")
    silent = [
        socket.create_connection((host, int(port)), timeout=20)
        for _ in range(ADMIN_CONNECTIONS_MAX + 5)
    ]

    assert served.ask(address) == (200, b"ok\n")

    until(lambda: sum(map(has_ended, silent)) == 6)
    for one in silent:
        one.close()
    assert served.ask(address) == (200, b"ok\n")
    assert {it.text for it in refusals(caplog)} == {
        "closed an admin connection: TOO_MANY_CONNECTIONS"
    }


def test_a_handshake_that_fails_is_counted_with_who_it_was(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    address = str(served.gateway.app.http_address)
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(100)

    until(lambda: refusals(caplog))
    (told,) = refusals(caplog)
    assert (told.text, told.peer) == ("closed an HTTP connection: TLS_HANDSHAKE_FAILED", host)


def test_a_client_that_says_goodbye_early_is_no_error(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    address = str(served.gateway.app.admin_address)
    for _ in range(3):
        connection = served.open(address)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        connection.settimeout(0.05)
        try:
            connection.unwrap().close()
        except (OSError, ssl.SSLError):
            connection.close()
    assert served.ask(address) == (200, b"ok\n")

    assert [it.getMessage() for it in caplog.records if it.levelname != "INFO"] == []
