"""The provider of the benchmarks: prepared answers over HTTP/1.1, as fast as Python can.

It looks at no more than the request line and the body's length, so that it never is what limits a
contestant. It counts what it answers: the counts prove that a load reached it, call for call.

Run as `python -m bench.upstream`; prints the port it listens on, and ends with its input.
"""

import asyncio
import json
from typing import cast

import uvloop

from bench.calls import CALLS
from bench.processes import announce_port, until_input_ends

COUNTS_PATH = "/counts"

_LENGTH = b"content-length:"
_CHUNKED = b"transfer-encoding: chunked"
_LAST_CHUNK = b"0\r\n\r\n"


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\nx-request-id: 00000000-0000-0000-0000-000000000000\r\n\r\n".encode() + body


_ANSWERS = {call.request_line.encode(): _response("200 OK", call.answer) for call in CALLS.values()}
_UNKNOWN = _response("404 Not Found", b'{"errors":[{"code":"10005","title":"no such path"}]}')
_COUNTS = f"GET {COUNTS_PATH}".encode()


class Responder(asyncio.Protocol):
    """One connection. `counts` is shared by all of them."""

    def __init__(self, counts: dict[bytes, int]) -> None:
        self._counts = counts
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no common class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        while data:
            end = _request_end(data)
            if end < 0:
                break
            self._transport.write(self._answer(data[: data.find(b" HTTP/1.1\r\n")]))
            data = data[end:]
        self._buffer = data

    def _answer(self, line: bytes) -> bytes:
        answer = _ANSWERS.get(line)
        if answer is not None:
            self._counts[line] += 1
            return answer
        if line == _COUNTS:
            counts = {key.decode(): count for key, count in self._counts.items()}
            return _response("200 OK", json.dumps(counts).encode())
        return _UNKNOWN


def _request_end(data: bytes) -> int:
    """Return where the first request ends, -1 if it has not come in full."""
    body = data.find(b"\r\n\r\n") + 4
    if body < 4:
        return -1
    head = data[:body].lower()
    if _CHUNKED in head:  # Envoy sends even its empty bodies so
        last = data.find(_LAST_CHUNK, body)
        return last + len(_LAST_CHUNK) if last >= 0 else -1
    start = head.find(_LENGTH)
    if start < 0:
        return body
    start += len(_LENGTH)
    end = body + int(head[start : head.find(b"\r", start)])
    return end if end <= len(data) else -1


async def _main() -> None:
    counts = dict.fromkeys(_ANSWERS, 0)
    server = await asyncio.get_running_loop().create_server(
        lambda: Responder(counts), "127.0.0.1", 0
    )
    announce_port(server.sockets[0].getsockname()[1])
    await until_input_ends()


if __name__ == "__main__":
    uvloop.run(_main())
