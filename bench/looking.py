"""What the console costs the gateway: processor time by how many look, at a steady rate of events.

Run as `python -m bench.looking`. 500 conferences with ten people each, of whom now one and now
another speaks; each looker reads the stream of state as a page does. The gateway's processor time
over some seconds is compared with what it takes while nobody looks. It takes about two minutes.
"""

import asyncio
import random
import time
from collections import deque

import uvloop

from bench.contestants.gateway import GatewayProcess, launch_gateway
from bench.feed import webhooks
from bench.feed.poster import PostConnection, Poster
from bench.processes import NO_CORES, Processes, free_port

RATE = 2_000
SECONDS = 10.0
ROUNDS = 3
LOOKERS = (0, 1, 5)

_CONFERENCES = 500
_PEOPLE = 10
_CONNECTIONS = 200
_SPOKEN = (
    "conference.floor.changed",
    "conference.participant.speak.started",
    "conference.participant.speak.ended",
)
# How long who looks gets to read the log, and the gateway to forget them, in seconds.
_SETTLE_S = 5.0


class _Speaking(Poster):
    """Posts what goes on in the conferences."""

    def __init__(self) -> None:
        super().__init__()
        self._random = random.Random(1)
        self._number = 0
        self._free: asyncio.Queue[PostConnection] = asyncio.Queue()

    def fill(self) -> None:
        """Prepare everybody's coming."""
        joined = "conference.participant.joined"
        people = range(_CONFERENCES * _PEOPLE)
        self._requests = deque(self._request(joined, it, it % _CONFERENCES) for it in people)

    def speak(self, count: int) -> None:
        """Prepare so many events of people who speak."""
        people = (self._random.randrange(_CONFERENCES * _PEOPLE) for _ in range(count))
        self._requests = deque(
            self._request(self._random.choice(_SPOKEN), it, it % _CONFERENCES) for it in people
        )

    async def steadily(self, port: int) -> float:
        """Post what was prepared at the rate, later where the machine is busy; returns seconds.

        Unlike `pace` it sends nothing on a connection that waits for a response.
        """
        self._closed_loop = False
        opened = await self._begin(port, _CONNECTIONS)
        self._free = asyncio.Queue()
        for it in opened:
            self._free.put_nowait(it)
        started, count = time.monotonic(), len(self._requests)
        for number in range(count):
            await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))
            self._send(await asyncio.wait_for(self._free.get(), _SETTLE_S))
        await self._end(opened)
        return time.monotonic() - started

    def answered(self, connection: PostConnection, accepted: bool, response: bytes) -> None:
        """Take an answer: its connection is free again."""
        super().answered(connection, accepted, response)
        self._free.put_nowait(connection)

    def _request(self, type_: str, person: int, conference: int) -> bytes:
        self._number += 1
        moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{self._number:06d}Z"
        return webhooks.request_of(
            webhooks.body_of(type_, self._number, person, conference, moment),
            str(int(time.time())),
        )


class _Looker:
    """Reads a stream of state, and counts its bytes."""

    def __init__(self) -> None:
        self.bytes = 0
        self._task: asyncio.Task[None] | None = None

    def look(self, port: int) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._read(port))

    async def leave(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _read(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /console/stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
            while piece := await reader.read(2**18):
                self.bytes += len(piece)
        finally:
            writer.close()


async def measure(gateway: GatewayProcess, admin_port: int) -> None:
    """Print what each number of lookers costs. Nobody looked before."""
    poster = _Speaking()
    poster.fill()
    await poster.flood(gateway.http_port, _CONNECTIONS)
    idle_us = 0.0
    for count in LOOKERS:
        lookers = [_Looker() for _ in range(count)]
        for it in lookers:
            it.look(admin_port)
        poster.speak(round(RATE * SECONDS))
        await asyncio.sleep(_SETTLE_S)
        before, seen = gateway.process.cpu_s() or 0.0, sum(it.bytes for it in lookers)
        seconds = await poster.steadily(gateway.http_port)
        each_us = ((gateway.process.cpu_s() or 0.0) - before) / (RATE * SECONDS) * 1e6
        told = sum(it.bytes for it in lookers) - seen
        idle_us = idle_us or each_us
        share = (each_us - idle_us) * RATE / 1e6
        print(
            f"{count} look: {each_us:.0f} us an event, {share * 100:+.1f} % of a core at the rate;"
            f" {told / seconds / 1e6 / max(count, 1):.2f} MB/s to each;"
            f" {RATE * SECONDS / seconds:.0f} events/s were taken",
            flush=True,
        )
        for it in lookers:
            await it.leave()


def main() -> None:
    """Measure some rounds, each with a gateway of its own."""
    for number in range(ROUNDS):
        admin_port = free_port()
        with Processes(NO_CORES) as processes:
            gateway = launch_gateway(
                processes,
                "http://127.0.0.1:9/v2",
                webhooks.PUBLIC_KEY,
                processes.folder / f"looking-{number}.db",
                env={
                    "GATEWAY_ADMIN_ADDRESS": f"127.0.0.1:{admin_port}",
                    "GATEWAY_BACKFILL": "off",
                },
            )
            uvloop.run(measure(gateway, admin_port))


if __name__ == "__main__":
    main()
