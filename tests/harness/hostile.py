"""A provider that answers with whatever bytes a test likes, or slowly, or not at all."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.harness.loop import LoopThread

Behavior = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request to its end, and return its head."""
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.split(b":")[1]))
    return head


class HostileServer:
    """Serves one behaviour; each connection gets it afresh."""

    def __init__(self, loop: LoopThread, behavior: Behavior) -> None:
        self._loop = loop
        self._behavior = behavior
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self._server = loop.run(asyncio.start_server(self._serve, "127.0.0.1", 0))

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v2"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._behavior(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the gateway has hung up, as it may
        finally:
            self._tasks.discard(task)
            writer.close()

    def close(self) -> None:
        async def close() -> None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._loop.run(close())


def raw(answer: bytes, *, close: bool = True) -> Behavior:
    """Answer each request with these bytes."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()
            if close:
                return

    return behave


def json_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", *headers]
    return "\r\n".join(lines).encode() + f"\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
