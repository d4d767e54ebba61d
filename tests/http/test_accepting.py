"""Who waits to be accepted: a burst of connections keeps nobody waiting for as many turns."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
import uvloop

from gateway.address import TcpAddress
from gateway.server.http.accepting import MORE_A_TURN
from gateway.server.http.server import HttpServer
from tests.harness.wire import request
from tests.http.serving import App

CLIENTS = 10 * (MORE_A_TURN + 1)

# What the loop does beside accepting: its own start, and what a response takes.
TURNS_BESIDE = 40


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_comes_behind_a_burst_waits_for_a_few_turns(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def turns() -> int:
        server = HttpServer(App(), lambda reason, peer: None, CLIENTS)
        bound = await server.start(TcpAddress("127.0.0.1", 0))
        assert isinstance(bound, TcpAddress)
        with ExitStack() as stack:
            for _ in range(CLIENTS):
                last = stack.enter_context(socket.create_connection((bound.host, bound.port)))
            last.sendall(request(b"whole", []))
            last.setblocking(False)
            count = 0
            while True:
                try:
                    assert last.recv(65_536).startswith(b"HTTP/1.1 200 ")
                except BlockingIOError:
                    count += 1
                    await asyncio.sleep(0)
                else:
                    break
        await server.stop(1)
        return count

    with asyncio.Runner(loop_factory=new_loop) as runner:
        count = runner.run(turns())
        assert count <= CLIENTS / (MORE_A_TURN + 1) + TURNS_BESIDE
