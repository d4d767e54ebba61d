"""A webhook receiver on a real socket that answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook attempt as it arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes
    connection: int
    """Number of the connection it came on."""

    @property
    def body(self) -> dict[str, Any]:
        value: dict[str, Any] = orjson.loads(self.raw)
        return value

    @property
    def data(self) -> dict[str, Any]:
        value: dict[str, Any] = self.body["data"]
        return value

    @property
    def type(self) -> str:
        return str(self.data["event_type"])


class Receiver:
    """Remembers all it got. `answer` decides the status, and may block."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], int] = lambda _: 200
        self.arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                one = Received(self.path, headers, raw, self.client_address[1])
                with receiver.arrived:
                    receiver.received.append(one)
                    receiver.arrived.notify_all()
                self.send_response(receiver.answer(one))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks"

    @property
    def types(self) -> list[str]:
        return [one.type for one in self.received]

    def wait_for(self, count: int, seconds: float = 5.0) -> None:
        """Wait until so many attempts have arrived."""
        with self.arrived:
            reached = self.arrived.wait_for(lambda: len(self.received) >= count, seconds)
        assert reached, f"only {len(self.received)} of {count} webhooks came"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
