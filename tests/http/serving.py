"""The HTTP server over real sockets, in front of an application that takes its time."""

import asyncio
import socket
import threading
from typing import Any

from gateway.server.http.server import HttpServer
from gateway.server.http.slots import connections_max
from tests.harness.loop import LoopThread
from tests.harness.ports import on_any_port


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
        self.server = HttpServer(
            self.app, lambda reason, peer: self.refused.append(reason), connections_max()
        )
        self._port = loop.run(on_any_port(self.server))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=20)


def read_to_the_end(connection: socket.socket, most: int = 2**62) -> bytes:
    """Return what comes until the connection's end, or until so many bytes have come."""
    received = bytearray()
    while len(received) < most and (data := connection.recv(65_536)):
        received += data
    return bytes(received)
