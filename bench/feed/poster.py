"""The process that posts signed webhooks. They are signed before anything is measured.

Run as `python -m bench.feed.poster`; it answers orders (see `remote`).
"""

import asyncio
import time
from collections import deque
from pathlib import Path
from time import monotonic
from typing import cast

import uvloop

from bench.contestants.contestant import CheckError
from bench.feed import sendtimes, webhooks
from bench.feed.remote import answer_orders

# How long an answer may take, in seconds.
_ANSWER_S_MAX = 60.0

_OK = b"HTTP/1.1 200 "
_LENGTH = b"content-length:"


class PostConnection(asyncio.Protocol):
    """A keep-alive connection. Requests may be sent before earlier ones are answered."""

    def __init__(self, poster: "Poster") -> None:
        self._poster = poster
        self._buffer = b""
        self._transport: asyncio.Transport
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no common class.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes) -> None:
        """Send a request."""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        while data:
            end = response_end(data)
            if end < 0 or end > len(data):
                break
            self._poster.answered(self, data.startswith(_OK), data[:end])
            data = data[end:]
        self._buffer = data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            self._poster.failed(f"a connection to the webhook address ended: {exc}")

    def close(self) -> None:
        """Close the connection."""
        self.closing = True
        self._transport.close()


class Poster:
    """Posts prepared requests, each once."""

    def __init__(self) -> None:
        self._sent_at: memoryview[float] | None = None
        self._first = 0
        self._requests: deque[bytes] = deque()
        self._next = 0
        self._unanswered = 0
        self._closed_loop = False
        self._failure: str | None = None
        # Set while nothing is unanswered, and when something has failed.
        self._quiet = asyncio.Event()
        self._answered_at = 0.0

    async def use(self, times: str) -> None:
        """Write sending times into a file."""
        self._sent_at = sendtimes.opened(Path(times))

    async def prepare(self, first: int, count: int, conferences: int) -> None:
        """Sign the events with these numbers; what was prepared before is forgotten."""
        timestamp = str(int(time.time()))
        self._next = first
        self._requests = deque(
            webhooks.request(number, conferences, timestamp)
            for number in range(first, first + count)
        )

    async def flood(self, port: int, connections: int) -> dict[str, float]:
        """Post all that was prepared, on each connection one after the other."""
        self._closed_loop = True
        opened = await self._begin(port, connections)
        count = len(self._requests)
        started = monotonic()
        for connection in opened:
            self._send(connection)
        await self._end(opened)
        return {"posted": count, "started": started, "seconds": self._answered_at - started}

    async def pace(self, port: int, connections: int, rate: float) -> dict[str, float]:
        """Post all that was prepared at a fixed rate, whether answers come or not."""
        self._closed_loop = False
        opened = await self._begin(port, connections)
        started = monotonic()
        latenesses: list[float] = []
        count = len(self._requests)
        for number in range(count):
            due = started + number / rate
            if (wait := due - monotonic()) > 0:
                await asyncio.sleep(wait)
            if self._failure is not None:
                break
            latenesses.append(monotonic() - due)
            self._send(opened[number % connections])
        await self._end(opened)
        latenesses.sort()
        return {
            "posted": count,
            "started": started,
            "seconds": self._answered_at - started,
            "late_p99": latenesses[int(count * 0.99)],
        }

    def answered(self, connection: PostConnection, accepted: bool, response: bytes) -> None:
        """Take an answer."""
        if not accepted:
            self.failed(f"a webhook was not stored: {response!r}")
            return
        self._unanswered -= 1
        self._answered_at = monotonic()
        if self._closed_loop and self._requests:
            self._send(connection)
        elif not self._unanswered:
            self._quiet.set()

    def failed(self, text: str) -> None:
        """End the order with an error."""
        self._failure = self._failure or text
        self._quiet.set()

    def _send(self, connection: PostConnection) -> None:
        if not self._requests:
            return
        request = self._requests.popleft()
        if self._sent_at is not None:
            self._sent_at[self._next] = monotonic()
        self._next += 1
        self._unanswered += 1
        self._quiet.clear()
        connection.send(request)

    async def _begin(self, port: int, connections: int) -> list[PostConnection]:
        loop = asyncio.get_running_loop()
        self._failure = None
        self._unanswered = 0
        return [
            (await loop.create_connection(lambda: PostConnection(self), "127.0.0.1", port))[1]
            for _ in range(connections)
        ]

    async def _end(self, opened: list[PostConnection]) -> None:
        try:
            async with asyncio.timeout(_ANSWER_S_MAX):
                if self._failure is None:
                    await self._quiet.wait()
        except TimeoutError:
            raise CheckError(f"{self._unanswered} webhooks were not answered") from None
        finally:
            for connection in opened:
                connection.close()
        if self._failure is not None:
            raise CheckError(self._failure)


def response_end(data: bytes) -> int:
    """Return where the first response ends, -1 if its head has not come in full."""
    body = data.find(b"\r\n\r\n") + 4
    if body < 4:
        return -1
    head = data[:body].lower()
    start = head.find(_LENGTH) + len(_LENGTH)
    return body + int(head[start : head.find(b"\r", start)])


async def _main() -> None:
    poster = Poster()
    await answer_orders(
        {
            "use": poster.use,
            "prepare": poster.prepare,
            "flood": poster.flood,
            "pace": poster.pace,
        }
    )


if __name__ == "__main__":
    uvloop.run(_main())
