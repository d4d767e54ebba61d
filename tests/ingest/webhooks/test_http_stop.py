"""How the HTTP server stops: what is under way is finished, and nothing holds it up for ever."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.server.http.server import HttpServer
from tests.harness.loop import LoopThread
from tests.harness.ports import on_any_port

LONG_S = 3_600.0


class App:
    """An application that reads a request, works until it is let go, and answers."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.working = threading.Event()
        self.let_go = asyncio.Event()
        self.disconnected = threading.Event()
        self.worked = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.set()
        while (message := await receive())["type"] == "http.request" and message["more_body"]:
            pass
        if message["type"] == "http.disconnect":
            self.disconnected.set()
            return
        self.working.set()
        await self.let_go.wait()
        self.worked.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Serving:
    def __init__(self, loop: LoopThread) -> None:
        self.loop = loop
        self.app = loop.call(App)
        self.server = HttpServer(self.app, lambda reason, peer: None, 100)
        self.port = loop.run(on_any_port(self.server))

    def post(self, body: bytes, length: int) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        head = f"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection

    def stopping(self, within_s: float) -> Any:
        """Begin to stop; returns the future of it."""
        return asyncio.run_coroutine_threadsafe(self.server.stop(within_s), self.loop.loop)


@pytest.fixture
def serving(loop: LoopThread) -> Iterator[Serving]:
    serving = Serving(loop)
    yield serving
    loop.call(serving.app.let_go.set)
    loop.run(serving.server.stop(0))


def test_a_request_that_is_whole_is_answered(serving: Serving) -> None:
    with serving.post(b"whole", 5) as connection:
        assert serving.app.working.wait(20)

        stopped = serving.stopping(LONG_S)
        serving.loop.call(serving.app.let_go.set)

        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        stopped.result(20)


@pytest.mark.slow
def test_a_request_that_is_not_whole_is_dropped_as_if_its_sender_had_gone(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    with serving.post(b"half", 8):
        assert serving.app.begun.wait(20)

        serving.stopping(0.5).result(20)

    assert serving.app.disconnected.wait(20)
    told = [it.message for it in caplog.records if it.levelname in ("WARNING", "ERROR")]
    assert told == ["the shutdown drops 1 HTTP connections"]


def test_work_under_way_is_not_cancelled_with_its_connection(serving: Serving) -> None:
    with serving.post(b"whole", 5):
        assert serving.app.working.wait(20)

        stopped = serving.stopping(0)
        serving.loop.call(serving.app.let_go.set)

        stopped.result(20)
        assert serving.app.worked.wait(20)


@pytest.mark.slow
def test_work_that_never_ends_does_not_hold_it_up(serving: Serving) -> None:
    with serving.post(b"whole", 5):
        assert serving.app.working.wait(20)

        serving.stopping(0).result(20)

        assert not serving.app.worked.is_set()


def test_who_sends_nothing_does_not_hold_it_up(serving: Serving) -> None:
    with socket.create_connection(("127.0.0.1", serving.port), timeout=20) as silent:
        serving.stopping(LONG_S).result(20)

        assert silent.recv(1) == b""
