"""A provider whose ways depend on what it is asked about: `hostile-NAME` gets the way of that name.

Everything else is answered well, so that honest calls have a provider beside the attack. Run as
`python -m tests.hostile.provider`.
"""

import asyncio
import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.harness.hostile import Behavior, json_answer, read_request

# How a path names the way that it wants, such as `/v2/conferences/hostile-hangs-7/actions/hold`.
_WAY = re.compile(r"/hostile-([a-z-]+?)(?:-\d+)?(?:/|\?|$)")

MIB = 2**20
_DATA = b'{"data": {"id": "c1", "name": "n", "result": "ok"}}'


def _errors() -> bytes:
    one = b'{"code": "1", "title": "t", "detail": "d", "source": {"pointer": "/x"}},'
    return b'{"errors": [' + one * (8 * MIB // len(one)) + b"{}]}"


# What a bomb is when it has gone off, in bytes.
_BLAST = 256 * MIB


def _bomb() -> bytes:
    return gzip.compress(b" " * _BLAST, 6)


def _said(body: bytes, status: str = "200 OK", *headers: str) -> Callable[[bytes], bytes]:
    return lambda head: json_answer(body, status, *headers)


def _echo(head: bytes) -> bytes:
    found = re.search(rb"(?i)authorization: ([^\r]+)", head)
    said = found[1].decode() if found else ""
    error = {"code": "1", "title": said, "detail": said, "source": {"pointer": said}}
    return json_answer(json.dumps({"errors": [error]}).encode(), "422 No", f"x-request-id: {said}")


_CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
)

# Ways that are one response. Some take a while to make, so all are made at the start.
ANSWERS: dict[str, Callable[[], Callable[[bytes], bytes]]] = {
    "two-lengths": lambda: (
        lambda head: (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d, %d\r\n\r\n%b"
            % (len(_DATA), len(_DATA), _DATA)
        )
    ),
    "empty-items": lambda: _said(b'{"data": [' + b"{}," * (8 * MIB // 3) + b"{}]}"),
    "items-within-the-size": lambda: _said(b'{"data": [' + b"{}," * MIB + b"{}]}"),
    "errors": lambda: _said(_errors(), "422 No"),
    "gzip-of-gzip": lambda: _said(gzip.compress(_bomb()), "200 OK", "content-encoding: gzip, gzip"),
    "gzip": lambda: _said(_bomb(), "200 OK", "content-encoding: gzip"),
    "two-at-once": lambda: _said_twice,
    "echo": lambda: _echo,
    "nested": lambda: _said(b'{"data": ' + b"[" * (2 * MIB)),
    "nonsense": lambda: lambda head: b"SSH-2.0-OpenSSH_9.6\r\n",
    "head": lambda: lambda head: b"HTTP/1.1 200 OK\r\nx: " + b"y" * (2 * MIB),
}


def _said_twice(head: bytes) -> bytes:
    stray = b'{"data": {"id": "stray", "name": "stray", "result": "stray"}}'
    return json_answer(_DATA) + json_answer(stray)


class Provider:
    """Serves one account; `asked` counts requests by what they were about."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self._made = {name: make() for name, make in ANSWERS.items()}
        # How many pages its log of deliveries says it has.
        self._pages = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        try:
            while True:
                head = await read_request(reader)
                if not await self._answer(head, reader, writer):
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the gateway has hung up, as it may
        finally:
            writer.close()

    async def _answer(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; returns whether the connection goes on."""
        target = head.split(b" ", 2)[1].decode()
        way = _WAY.search(target)
        self.asked[way[1] if way else target.split("?")[0]] += 1
        if way is None or way[1] not in {*WAYS, *ANSWERS}:
            writer.write(json_answer(self._well(target)))
        elif way[1] in WAYS:
            await WAYS[way[1]](reader, writer)
            return False
        else:
            writer.write(self._made[way[1]](head))
            await writer.drain()
            return way[1] not in {"nonsense", "head"}
        await writer.drain()
        return True

    def _well(self, target: str) -> bytes:
        parts = urlsplit(target)
        fields = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/control":
            self._pages = int(fields.get("pages", self._pages))
            return json.dumps(self.asked).encode()
        if parts.path.endswith("/webhook_deliveries"):
            return self._deliveries(int(fields.get("page[number]", 1)), fields)
        if parts.path.endswith(("/participants", "/queues", "/calls")):
            return b'{"data": [], "meta": {"total_pages": 1, "total_results": 0}}'
        return _DATA

    def _deliveries(self, page: int, fields: dict[str, str]) -> bytes:
        rows = []
        if page <= self._pages:
            for row in range(50):
                id_ = f"delivery-{page}-{row}"
                rows.append(
                    {
                        "id": id_,
                        "started_at": fields.get("filter[started_at][gte]", ""),
                        "webhook": {"id": id_, "event_type": "x", "payload": {"x": "y" * 500}},
                        "attempts": [
                            {"http": {"request": {"url": "https://x.example/webhooks/telnyx"}}}
                        ],
                    }
                )
        meta = {"total_pages": self._pages, "total_results": self._pages * 50}
        return json.dumps({"data": rows, "meta": meta}).encode()


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(_CHUNKED)
    while True:
        # As many chunks of a byte as the network takes at once.
        writer.write(b"1\r\n \r\n" * 2_000)
        await writer.drain()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
    for _ in range(16_384):
        writer.write(b"x" * 65_536)
        await writer.drain()


# Ways that a connection does not outlive.
WAYS: dict[str, Behavior] = {"hangs": _hang, "chunks-of-a-byte": _drip, "pours": _pour}


async def main() -> None:
    provider = Provider()
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, limit=MIB)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
