"""The process of subscribers that go on at another gateway whenever their stream ends.

Each has a connection of its own, as a program has, and takes its cursor along. Run as `python -m
bench.feed.jetstream.travelling`; it answers orders (see `remote`).
"""

import asyncio
import contextlib
import random
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from time import monotonic

import uvloop

from bench.contestants.contestant import CheckError
from bench.feed import http2
from bench.feed.connection import Connection
from bench.feed.known import KnownLog
from bench.feed.remote import answer_orders
from bench.feed.stream import Stream
from bench.feed.webhooks import Postings, conference_id
from conferencing.v1.event_service_pb2 import EventFilter, SubscribeRequest

_PATH = "/conferencing.v1.EventService/Subscribe"

# How long to wait before a gateway is asked that nobody was reached at, in seconds.
_AGAIN_S = 0.02

# How often it is looked whether all have what they should, in seconds.
_LOOK_S = 0.01

# How streams may end: with a cursor and OK, or so that a client tries again, which is
# UNAVAILABLE, or what a client library makes of a connection that is cut.
OK, UNAVAILABLE, CUT = "0", "14", "cut"
_MAY = frozenset({OK, UNAVAILABLE, CUT})

_STATUS = b"grpc-status"


class TravellersConnection(Connection):
    """A connection with one stream, which tells how it ended instead of taking that for a fault."""

    def __init__(
        self, stream: Stream, failures: list[CheckError], ended: Callable[[str], None]
    ) -> None:
        super().__init__([stream], failures, stalled=False)
        self._told = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(CUT)

    def eof_received(self) -> None:
        self._end(CUT)

    def _control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == http2.HEADERS and flags & http2.END_STREAM:
            self._end(status_in(payload))
        elif kind == http2.RST_STREAM:
            self._end(CUT)
        elif kind != http2.GOAWAY:  # a stream outlives that
            super()._control(kind, flags, stream_id, payload)

    def _end(self, how: str) -> None:
        if not self.may_end:
            self.close()
            self._told(how)


class Traveller:
    """One subscriber, over all of its streams."""

    def __init__(
        self,
        stream: Stream,
        ports: Sequence[int],
        at: int,
        failures: list[CheckError],
        drawn: random.Random,
        wanted: EventFilter,
    ) -> None:
        self.stream = stream
        # How often streams ended how, and nobody was reached.
        self.ends: Counter[str] = Counter()
        self.moves = 0
        self._ports = ports
        self._at = at
        self._failures = failures
        self._drawn = drawn
        self._wanted = wanted
        self._connection: TravellersConnection | None = None
        self._opening: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Open a stream, at another gateway if this one is not there."""
        self._opening = asyncio.create_task(self._open())

    def leave(self) -> None:
        """Go, for good."""
        if self._opening is not None:
            self._opening.cancel()
        if self._connection is not None:
            self._connection.close()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            port = self._ports[self._at]
            self._connection = TravellersConnection(self.stream, self._failures, self._ended)
            connection = self._connection
            try:
                await loop.create_connection(lambda: connection, "127.0.0.1", port)  # noqa: B023
            except OSError:
                self.ends["nobody there"] += 1
                self._go_elsewhere()
                await asyncio.sleep(_AGAIN_S)
                continue
            request = SubscribeRequest(filter=self._wanted)
            request.heartbeat_interval.FromSeconds(300)
            if self.stream.rest is not None:
                request.after_cursor = self.stream.rest.cursor
            connection.call(f"127.0.0.1:{port}", _PATH, [request.SerializeToString()])
            return

    def _ended(self, how: str) -> None:
        self.ends[how] += 1
        if how not in _MAY:
            self._failures.append(CheckError(f"{self.stream.name} ended with status {how}"))
            return
        self.moves += 1
        self.stream = self.stream.resumed(self.stream.known, self.stream.marks)
        self._go_elsewhere()
        self.open()

    def _go_elsewhere(self) -> None:
        self._at = (self._at + self._drawn.randrange(1, len(self._ports))) % len(self._ports)


class Travelling:
    """All subscribers of a measurement."""

    def __init__(self) -> None:
        self._failures: list[CheckError] = []
        self._all: list[Traveller] = []
        # What they bring: everything, or by the conference.
        self._known: list[KnownLog] = []
        # The same in every run.
        self._drawn = random.Random(0)

    async def open(
        self, ports: Sequence[int], subscribers: int, conferences: int, *, filtered: bool
    ) -> None:
        """Have so many begin, spread over gateways; returns when all have.

        They want everything, or `filtered` the events of one conference each, in turn.
        """
        postings, logs = Postings(conferences), conferences if filtered else 1
        self._known = [KnownLog(postings, dense=not filtered, may_drain=True) for _ in range(logs)]
        for number in range(subscribers):
            which = number % logs
            stream = Stream(f"subscriber {number}", self._known[which], array("d"))
            wanted = EventFilter(conference_ids=[conference_id(which)] if filtered else [])
            at = number % len(ports)
            traveller = Traveller(stream, ports, at, self._failures, self._drawn, wanted)
            self._all.append(traveller)
            traveller.open()
        await self._until(lambda: all(it.stream.messages for it in self._all), 60.0)

    async def newest(self) -> int:
        """Return how many events have been posted up to the newest that the slowest one has."""
        self._check()
        return min(it.stream.index for it in self._all) * len(self._known)

    async def finish(self, first: int, count: int, timeout_s: float) -> dict[str, int]:
        """Wait until all have what they want of so many events; fail unless it is just that.

        Returns how streams ended, and how often.
        """
        logs = len(self._known)
        due = [len(range(which, count, logs)) for which in range(logs)]

        def wants(number: int) -> int:
            return due[number % logs]

        await self._until(
            lambda: all(it.stream.index >= wants(n) for n, it in enumerate(self._all)), timeout_s
        )
        for which, known in enumerate(self._known):
            known.check_complete(first + which, count - which, logs)
        for number, it in enumerate(self._all):
            if it.stream.index != wants(number):
                raise CheckError(
                    f"{it.stream.name} has {it.stream.index} events, not {wants(number)}"
                )
        return dict(sum((it.ends for it in self._all), Counter()))

    async def pauses(self, since: float, until: float) -> list[float]:
        """Return for how long each got no event at the most, between two moments, in seconds.

        The clock is the system's monotonic one.
        """
        return [longest(it.stream.marks, since, until) for it in self._all]

    async def moves(self) -> list[int]:
        """Return how often each has gone to another gateway."""
        return [it.moves for it in self._all]

    async def leave(self) -> None:
        """Have all go."""
        for it in self._all:
            it.leave()

    async def _until(self, holds: Callable[[], bool], timeout_s: float) -> None:
        give_up = monotonic() + timeout_s
        while not holds():
            self._check()
            if monotonic() > give_up:
                slowest = min(self._all, key=lambda it: it.stream.index)
                raise CheckError(
                    f"after {timeout_s:g} s {slowest.stream.name} has {slowest.stream.index} events"
                    f" and {slowest.stream.messages} messages"
                )
            await asyncio.sleep(_LOOK_S)
        self._check()

    def _check(self) -> None:
        if self._failures:
            raise self._failures[0]


def longest(marks: "array[float]", since: float, until: float) -> float:
    """Return the longest time between two messages with events, of which marks are kept."""
    times = [since, *(it for it in marks[::3] if since < it < until), until]
    return max(after - before for before, after in pairwise(times))


def status_in(trailers: bytes) -> str:
    """Return the gRPC status of trailers, whose names and values come as they are."""
    at = trailers.find(_STATUS) + len(_STATUS)
    if at < len(_STATUS) or at >= len(trailers):
        return f"unknown, {trailers!r}"
    length = trailers[at]
    return trailers[at + 1 : at + 1 + length].decode(errors="replace")


async def _main() -> None:
    travelling = Travelling()
    names = "open newest finish pauses moves leave"
    with contextlib.suppress(asyncio.CancelledError):
        await answer_orders({name: getattr(travelling, name) for name in names.split()})


if __name__ == "__main__":
    uvloop.run(_main())
