"""How a connection ends, over real sockets and on both event loops."""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from gateway.server.http.server import HttpServer
from tests.harness.loop import LoopThread
from tests.harness.wire import parsed, request

TIMES = 50

WHOLE = request(b"whole", [])


# More than the system holds of what nobody reads.
MUCH = b"x" * 2**24


class App:
    """An application that reads a request, is busy for some passes of the loop, and answers."""

    def __init__(self) -> None:
        self.body = b"ok"
        self.begun = threading.Semaphore(0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.release()
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        for _ in range(20):
            await asyncio.sleep(0)
        head = [(b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": self.body})


class Serving:
    def __init__(self, loop: LoopThread) -> None:
        self.refused: list[str] = []
        self.app = App()
        self.server = HttpServer(self.app, lambda reason, peer: self.refused.append(reason))
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", ["the sender", "the shutdown"])
def test_a_connection_that_ends_before_its_responses_are_read_leaves_no_trace(
    serving: Serving,
    either_loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
    ended_by: str,
) -> None:
    serving.app.body = MUCH
    with serving.connect() as connection:
        connection.sendall(WHOLE * 8)
        # The second response waits for the first to be taken, the others for the second.
        for _ in range(2):
            assert serving.app.begun.acquire(timeout=20)
        if ended_by == "the shutdown":
            either_loop.run(serving.server.stop(0))
    either_loop.run(serving.server.stop(10))

    told = [it.getMessage() for it in caplog.records if it.levelno >= logging.WARNING]
    dropped = ["the shutdown drops 1 HTTP connections"]
    assert told == (dropped if ended_by == "the shutdown" else [])
    assert not [it for it in caplog.records if it.exc_info]
