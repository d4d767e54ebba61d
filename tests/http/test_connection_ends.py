"""How a connection ends, over real sockets and on both event loops."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from gateway.http.server import HttpServer
from tests.harness.loop import LoopThread
from tests.harness.wire import parsed, request

TIMES = 50

WHOLE = request(b"whole", [])


class App:
    """An application that reads a request, is busy for some passes of the loop, and answers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        for _ in range(20):
            await asyncio.sleep(0)
        head = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"ok"})


class Serving:
    def __init__(self, loop: LoopThread) -> None:
        self.refused: list[str] = []
        self.server = HttpServer(App(), self.refused.append)
        self._port = loop.run(self.server.start("127.0.0.1", 0))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=20)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def either_loop(request: pytest.FixtureRequest) -> Iterator[LoopThread]:
    loop = LoopThread(request.param)
    yield loop
    loop.close()


@pytest.fixture
def serving(either_loop: LoopThread) -> Iterator[Serving]:
    serving = Serving(either_loop)
    yield serving
    either_loop.run(serving.server.stop(0))


def read_to_the_end(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(65_536):
        received += data
    return received


@pytest.mark.parametrize("requests", [1, 3])
def test_who_closes_its_side_after_its_requests_gets_their_responses(
    serving: Serving, requests: int
) -> None:
    for _ in range(TIMES):
        with serving.connect() as connection:
            connection.sendall(WHOLE * requests)
            connection.shutdown(socket.SHUT_WR)

            responses, rest = parsed(read_to_the_end(connection))

        assert [it.status for it in responses] == [200] * requests
        assert rest == b""


def test_who_closes_its_side_amid_a_request_gets_the_responses_to_those_before_it(
    serving: Serving,
) -> None:
    for _ in range(TIMES):
        with serving.connect() as connection:
            connection.sendall(WHOLE + WHOLE[:-1])
            connection.shutdown(socket.SHUT_WR)

            responses, rest = parsed(read_to_the_end(connection))

        assert [it.status for it in responses] == [200]
        assert rest == b""
