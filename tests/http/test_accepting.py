"""Who waits to be accepted: a burst of connections keeps no other address waiting."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import uvloop

from gateway.address import TcpAddress
from gateway.server.http.accepting import ACCEPTED_A_TURN
from gateway.server.http.server import HttpServer
from gateway.tls.current import CurrentCredentials
from tests.harness.certificates import Authority
from tests.harness.needs import on_linux
from tests.harness.wire import request
from tests.http.serving import App
from tests.tls.stage import Folder

CLIENTS = 400

# What the loop does beside accepting: its own start, a handshake, and what a response takes.
TURNS_BESIDE = 45

NewLoop = Callable[[], asyncio.AbstractEventLoop]

pytestmark = on_linux  # which has 127.0.0.2


def open_from(source: str, bound: TcpAddress) -> socket.socket:
    client = socket.create_connection((bound.host, bound.port), source_address=(source, 0))
    client.setblocking(False)
    return client


async def turns_until_served(client: socket.socket) -> int:
    """Return how many turns of the loop pass until a client has its response."""
    has_sent = False
    count = 0
    while True:
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            if not has_sent:
                if isinstance(client, ssl.SSLSocket):
                    client.do_handshake()
                client.sendall(request(b"whole", []))
                has_sent = True
            assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
            return count
        count += 1
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("new_loop", "in_tls"),
    [
        # In clear, asyncio accepts all that wait by itself.
        pytest.param(uvloop.new_event_loop, False, id="uvloop, in clear"),
        pytest.param(uvloop.new_event_loop, True, id="uvloop, in TLS"),
        pytest.param(asyncio.new_event_loop, True, id="asyncio, in TLS"),
    ],
)
def test_who_comes_behind_a_burst_of_another_waits_for_a_few_turns(
    new_loop: NewLoop, in_tls: bool, tmp_path: Path
) -> None:
    authority = Authority()

    async def turns() -> int:
        server = HttpServer(App(), lambda reason, peer: None, 2 * CLIENTS)
        certificates = None
        if in_tls:
            files = Folder(tmp_path, authority.server()).files
            certificates = CurrentCredentials(files)
        bound = await server.start(TcpAddress("127.0.0.1", 0), certificates)
        assert isinstance(bound, TcpAddress)
        with ExitStack() as stack:
            for _ in range(CLIENTS):
                stack.enter_context(open_from("127.0.0.1", bound))
            last = open_from("127.0.0.2", bound)
            if in_tls:
                context = ssl.create_default_context(cadata=authority.pem.decode())
                last = context.wrap_socket(
                    last, do_handshake_on_connect=False, server_hostname="localhost"
                )
            count = await turns_until_served(stack.enter_context(last))
        await server.stop(1)
        return count

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(turns()) <= CLIENTS / ACCEPTED_A_TURN + TURNS_BESIDE


def test_a_burst_of_one_address_is_served_whole() -> None:
    """More than there are slots for: those that are served make room for those that wait."""
    limit, burst = 400, 600

    async def responses() -> tuple[list[bytes], list[str]]:
        refused: list[str] = []
        server = HttpServer(App(), lambda reason, peer: refused.append(reason), limit)
        bound = await server.start(TcpAddress("127.0.0.1", 0))
        assert isinstance(bound, TcpAddress)
        try:
            with ExitStack() as stack:
                clients = [stack.enter_context(open_from("127.0.0.1", bound)) for _ in range(burst)]
                for client in clients:
                    client.sendall(request(b"whole", [("connection", "close")]))
                heads: dict[socket.socket, bytes] = {}
                for _ in range(burst):
                    for client in clients:
                        with suppress(BlockingIOError):
                            heads.setdefault(client, client.recv(65_536)[:13])
                    await asyncio.sleep(0)
        finally:
            await server.stop(1)
        return list(heads.values()), refused

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(responses()) == ([b"HTTP/1.1 200 "] * burst, [])
