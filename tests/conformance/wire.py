"""What went over the wire: a server that keeps each request exactly as it was sent.

It speaks just enough HTTP/1.1 for two well-behaved clients and shares no code with the gateway.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tests.harness.loop import LoopThread


@dataclass(frozen=True)
class Sent:
    method: str
    # As they stood in the request line, still escaped.
    path: str
    raw_query: str
    headers: dict[str, str] = field(repr=False)
    raw_body: bytes

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query as a multiset of names and values, in an order of its own."""
        return sorted(parse_qsl(self.raw_query, keep_blank_values=True, strict_parsing=True))

    @property
    def body(self) -> Any:
        """The JSON body, None if there is none; a name that stands in it twice is an error."""
        if not self.raw_body:
            return None
        return json.loads(self.raw_body, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    assert len(values) == len(pairs), f"a name stands twice in {pairs}"
    return values


class Wire:
    """Listens from construction on; every request gets the `answer`."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._sent: list[Sent] = []
        self.status, self.answer = 200, b"{}"
        self._server = loop.run(self._listen())

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v2"

    def answer_with(self, document: Any) -> None:
        self.status, self.answer = 200, json.dumps(document, allow_nan=False).encode()

    def answer_nothing(self) -> None:
        self.status, self.answer = 204, b""

    def take(self) -> Sent:
        """Return the request that was sent since the last time; there must be exactly one."""
        (sent,) = self._sent
        self._sent.clear()
        return sent

    def forget(self) -> None:
        self._sent.clear()

    def close(self) -> None:
        self._loop.call(self._server.close)

    async def _listen(self) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)

    def receive(self, sent: Sent) -> bytes:
        """Keep a request and return the answer as it goes over the wire."""
        self._sent.append(sent)
        head = f"HTTP/1.1 {self.status} Answer\r\ncontent-type: application/json\r\n"
        if self.status != 204:
            head += f"content-length: {len(self.answer)}\r\n"
        return head.encode() + b"\r\n" + self.answer


class _Connection(asyncio.Protocol):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._unread = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, end, rest = self._unread.partition(b"\r\n\r\n")
        if not end:
            return
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for header in lines:
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._unread = rest[length:]
        method, target, _ = line.split(" ")
        path, _, query = target.partition("?")
        assert self._transport is not None
        self._transport.write(self._wire.receive(Sent(method, path, query, headers, rest[:length])))
