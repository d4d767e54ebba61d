"""The process that posts webhooks at a rate, and what fails to another address.

Run as `python -m bench.feed.jetstream.provider`; it answers orders (see `remote`).
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from time import monotonic
from typing import cast

import uvloop

from bench.contestants.contestant import CheckError
from bench.feed import webhooks
from bench.feed.poster import response_end
from bench.feed.remote import answer_orders

# Connections to each gateway: together as many as a busy provider has open.
_CONNECTIONS = 20

# How long to wait before a webhook that failed is sent again, and before an address that nobody
# was reached at is connected to again, in seconds.
_RETRY_S = 0.1
_CONNECT_AGAIN_S = 0.05

# How long the last answers may take, in seconds.
_ANSWER_S_MAX = 30.0

_OK = b"HTTP/1.1 200 "


class _Connection(asyncio.Protocol):
    """A keep-alive connection, with one request at a time."""

    def __init__(self, address: "_Address") -> None:
        self._address = address
        self._buffer = b""
        self._transport: asyncio.Transport
        self.unanswered: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no common class.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, request: bytes) -> None:
        """Send a request, when the one before is answered."""
        self.unanswered = request
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if 0 <= response_end(self._buffer) <= len(self._buffer):
            stored, self._buffer = self._buffer.startswith(_OK), b""
            request, self.unanswered = self.unanswered, None
            if request is not None:
                self._address.provider.answered(request, stored=stored)

    def connection_lost(self, exc: Exception | None) -> None:
        self._address.lost(self)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class _Address:
    """The connections to one gateway, which come back when it does."""

    def __init__(self, provider: "Provider", port: int) -> None:
        self.provider = provider
        self.port = port
        self.connections: list[_Connection] = []
        # Once all are there.
        self.connected = asyncio.Event()
        self.closed = False

    async def keep_connected(self) -> None:
        """Have so many connections, as far as somebody is there."""
        loop = asyncio.get_running_loop()
        while not self.closed:
            try:
                while len(self.connections) < _CONNECTIONS:
                    _, made = await loop.create_connection(
                        lambda: _Connection(self), "127.0.0.1", self.port
                    )
                    self.connections.append(made)
                    self.provider.connected()
                self.connected.set()
            except OSError:
                pass
            await asyncio.sleep(_CONNECT_AGAIN_S)

    def lost(self, connection: _Connection) -> None:
        if connection in self.connections:
            self.connections.remove(connection)
        if connection.unanswered is not None:
            self.provider.answered(connection.unanswered, stored=False)


class Provider:
    """Posts webhooks, each until it is stored."""

    def __init__(self) -> None:
        self._requests: deque[bytes] = deque()
        # Due, and all connections were busy, or nobody was reached.
        self._waiting: deque[bytes] = deque()
        self._addresses: list[_Address] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = 0
        self._posted = self._stored = self._again = 0
        self._longest_s = 0.0
        self._stored_at = 0.0
        self._posting = False

    async def prepare(self, count: int, conferences: int) -> None:
        """Sign so many events, from number zero on."""
        timestamp = str(int(time.time()))
        self._requests = deque(
            webhooks.request(number, conferences, timestamp) for number in range(count)
        )

    async def start(self, ports: Sequence[int], rate: float) -> None:
        """Post at a rate, whatever the answers, until `stop`."""
        self._addresses = [_Address(self, it) for it in ports]
        for address in self._addresses:
            self._begin(address.keep_connected())
        await asyncio.gather(*(it.connected.wait() for it in self._addresses))
        self._posting, self._stored_at = True, monotonic()
        self._begin(self._post(rate))

    async def status(self) -> dict[str, float]:
        """Return how many were posted, how many of those are not stored yet, and the time."""
        self._check()
        await asyncio.sleep(0)
        return {
            "posted": self._posted,
            "unanswered": self._posted - self._stored,
            "at": monotonic(),
        }

    async def stop(self) -> dict[str, float]:
        """Post no more, and wait until all are stored.

        Returns how many there are, how often one was sent again, and the longest time in which none
        was stored.
        """
        self._posting = False
        give_up = monotonic() + _ANSWER_S_MAX
        while self._stored < self._posted:
            if monotonic() > give_up:
                raise CheckError(f"{self._posted - self._stored} webhooks were not stored")
            await asyncio.sleep(_CONNECT_AGAIN_S)
        for address in self._addresses:
            address.closed = True
            for connection in [*address.connections]:
                connection.close()
        await asyncio.gather(*self._tasks)
        return {"posted": self._posted, "again": self._again, "longest_s": self._longest_s}

    def connected(self) -> None:
        """Take note of a new connection."""
        self._send_waiting()

    def answered(self, request: bytes, *, stored: bool) -> None:
        """Take an answer, or that there was none."""
        if stored:
            self._stored += 1
            now = monotonic()
            self._longest_s = max(self._longest_s, now - self._stored_at)
            self._stored_at = now
        else:
            self._again += 1
            self._begin(self._retry(request))
        self._send_waiting()

    async def _post(self, rate: float) -> None:
        started = monotonic()
        while self._posting and self._requests:
            due = started + self._posted / rate
            if (wait := due - monotonic()) > 0:
                await asyncio.sleep(wait)
            self._posted += 1
            self._send(self._requests.popleft())

    async def _retry(self, request: bytes) -> None:
        await asyncio.sleep(_RETRY_S)
        self._send(request)

    def _send(self, request: bytes) -> None:
        self._waiting.append(request)
        self._send_waiting()

    def _send_waiting(self) -> None:
        """Send to the gateways in turn, passing over those that are busy or not there."""
        passed = 0
        while self._waiting and passed < len(self._addresses):
            self._turn += 1
            address = self._addresses[self._turn % len(self._addresses)]
            idle = next((it for it in address.connections if it.unanswered is None), None)
            if idle is None:
                passed += 1
            else:
                passed = 0
                idle.send(self._waiting.popleft())

    def _check(self) -> None:
        if self._posting and not self._requests:
            raise CheckError("not enough webhooks were prepared")

    def _begin(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _main() -> None:
    provider = Provider()
    names = "prepare start status stop"
    await answer_orders({name: getattr(provider, name) for name in names.split()})


if __name__ == "__main__":
    uvloop.run(_main())
