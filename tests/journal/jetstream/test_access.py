"""How a gateway gets in: logins, tokens, keys and certificates, read again for each connection."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nkeys
import pytest
import trustme

from gateway.journal.errors import LogOpenError
from gateway.journal.jetstream import Access, StreamPlace, TlsFiles
from gateway.journal.jetstream.broker import Broker
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster, one_server, running, until, with_nats

pytestmark = [with_nats, pytest.mark.slow]


@contextmanager
def _server(folder: Path, more: str) -> Iterator[NatsCluster]:
    with running(one_server(folder / "nats", more)) as cluster:
        yield cluster


def _get_in(loop: LoopThread, cluster: NatsCluster, access: Access, *, tls: bool = False) -> None:
    async def get_in() -> None:
        broker = await Broker.connect(StreamPlace(cluster.addresses, "S", is_tls=tls), access)
        assert broker.problem is None
        await broker.close()

    loop.run(get_in(), 60)


def test_a_login(loop: LoopThread, tmp_path: Path) -> None:
    with _server(tmp_path, 'authorization { user: gw, password: "s:3" }') as cluster:
        _get_in(loop, cluster, Access(login=lambda: "gw:s:3"))
        with pytest.raises(LogOpenError, match="Authorization Violation") as error:
            _get_in(loop, cluster, Access(login=lambda: "gw:wrong"))
        assert "wrong" not in str(error.value)


def test_a_token(loop: LoopThread, tmp_path: Path) -> None:
    with _server(tmp_path, 'authorization { token: "t0k" }') as cluster:
        _get_in(loop, cluster, Access(token=lambda: "t0k"))
        with pytest.raises(LogOpenError, match="Authorization Violation"):
            _get_in(loop, cluster, Access())


def test_an_nkey(loop: LoopThread, tmp_path: Path) -> None:
    seed = nkeys.encode_seed(b"8 bytes " * 4, nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    (tmp_path / "seed").write_bytes(seed)
    with _server(tmp_path, f"authorization {{ users: [{{ nkey: {public} }}] }}") as cluster:
        _get_in(loop, cluster, Access(nkey=tmp_path / "seed"))


def test_certificates_of_both_sides(loop: LoopThread, tmp_path: Path) -> None:
    ca = trustme.CA()
    cert = ca.issue_cert("127.0.0.1")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    cert.private_key_pem.write_to_path(tmp_path / "key.pem")
    cert.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    tls = (
        f'tls {{ cert_file: "{tmp_path}/cert.pem", key_file: "{tmp_path}/key.pem",'
        f' ca_file: "{tmp_path}/ca.pem", verify: true }}'
    )
    with _server(tmp_path, tls) as cluster:
        files = TlsFiles(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")
        for asked in (True, False):
            _get_in(loop, cluster, Access(tls=files), tls=asked)
        with pytest.raises(LogOpenError, match="CERTIFICATE_VERIFY_FAILED"):
            _get_in(loop, cluster, Access(tls=TlsFiles()), tls=True)


def test_a_server_in_clear_is_not_talked_to_where_tls_is_asked_for(
    loop: LoopThread, tmp_path: Path
) -> None:
    shown: list[str] = []

    def login() -> str:
        shown.append("shown")
        return "a:b"

    with _server(tmp_path, "") as cluster:
        for access, tls in ((Access(login), True), (Access(login, tls=TlsFiles()), False)):
            with pytest.raises(LogOpenError, match="does not ask for TLS"):
                _get_in(loop, cluster, access, tls=tls)
    assert shown == []


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")

    with pytest.raises(LogOpenError, match="cannot use the TLS files for NATS"):
        TlsFiles(cert=tmp_path / "cert.pem").context()
    assert isinstance(TlsFiles().context(), ssl.SSLContext)


def test_who_is_not_let_in_any_more_gets_in_again_with_what_the_file_has_then(
    loop: LoopThread, tmp_path: Path
) -> None:
    shown = ["old"]
    cluster = one_server(tmp_path / "nats", "authorization { token: old }")
    (server,) = cluster.servers

    async def connected() -> Broker:
        place = StreamPlace(cluster.addresses, "S")
        return await Broker.connect(place, Access(token=lambda: shown[0]))

    with running(cluster):
        broker = loop.run(connected(), 60)
        server.kill()
        server.configure("authorization { token: new }")
        server.restart()
        _until(loop, broker, connected=False)
        shown[0] = "new"
        _until(loop, broker, connected=True)
        loop.run(broker.close())


# The client library leaves streams of failed connections to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_is_put_out_hears_what_it_heard_before_when_it_is_in_again(
    loop: LoopThread, tmp_path: Path
) -> None:
    shown, heard = ["old"], list[bytes]()
    cluster = one_server(tmp_path / "nats", "authorization { token: old }")
    (server,) = cluster.servers

    async def connected() -> Broker:
        place = StreamPlace(cluster.addresses, "S")
        broker = await Broker.connect(place, Access(token=lambda: shown[0]))
        await broker.hear("S", lambda message: heard.append(message.data), 10, 1_000)
        return broker

    with running(cluster):
        broker = loop.run(connected(), 60)
        # The client library gives up at this, and the gateway begins with another client.
        server.configure("authorization { token: new }")
        server.reload()
        _until(loop, broker, connected=False)
        shown[0] = "new"
        _until(loop, broker, connected=True)
        loop.run(broker.publish("S", b"again"))
        until(lambda: heard == [b"again"], "it hears again")
        loop.run(broker.close())


def test_a_server_that_comes_later_is_connected_to_then(loop: LoopThread, tmp_path: Path) -> None:
    cluster = one_server(tmp_path / "nats")

    async def connected() -> Broker:
        return await Broker.connect(StreamPlace(cluster.addresses, "S"), Access())

    broker = loop.run(connected(), 60)

    assert broker.problem is not None
    assert f"there is no connection to nats://{cluster.addresses[0]}" in broker.problem
    with running(cluster):
        _until(loop, broker, connected=True)
        assert broker.problem is None
        loop.run(broker.close())


@pytest.mark.slow
def test_a_server_that_hangs_gets_no_more_connections_than_it_can_end(
    loop: LoopThread, tmp_path: Path
) -> None:
    with _server(tmp_path, "") as cluster:
        (server,) = cluster.servers
        server.hold()

        async def connections() -> tuple[int, int]:
            """Return how many were made, and the most that there were at one time."""
            broker = await Broker.connect(StreamPlace(cluster.addresses, "S"), Access())
            seen, most = set[str](), 0
            async with asyncio.timeout(60):
                while len(seen) < 4:
                    now = _connections_to(server.port)
                    seen, most = seen | now, max(most, len(now))
                    await asyncio.sleep(0.02)
            await broker.close()
            return len(seen), most

        made, most = loop.run(connections(), 90)
        server.go_on()

    assert (made, most) == (4, 1)


def _connections_to(port: int) -> set[str]:
    """Return the own ends of the connections to a port (Linux)."""
    lines = [it.split() for it in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        own
        for _, own, other, state, *_ in lines
        if other.endswith(f":{port:04X}") and state == "01"
    }


def _until(loop: LoopThread, broker: Broker, *, connected: bool) -> None:
    until(lambda: broker.is_connected is connected, f"connected: {connected}")
