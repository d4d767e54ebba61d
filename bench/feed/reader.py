"""The process that reads streams and checks every event of each.

Run as `python -m bench.feed.reader`; it answers orders (see `remote`).
"""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import uvloop

from bench.contestants.contestant import CheckError
from bench.feed import sendtimes, webhooks
from bench.feed.connection import Connection
from bench.feed.known import KnownLog
from bench.feed.remote import answer_orders
from bench.feed.stream import Stream
from bench.feed.webhooks import Postings
from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, EventFilter, SubscribeRequest

_PATH = "/conferencing.v1.EventService/Subscribe"

# How often it is looked whether all streams have what they should, in seconds.
_LOOK_S = 0.005

# How long opening streams may take, in seconds.
_OPEN_S_MAX = 60.0

# Latencies are counted by this step, in seconds.
_STEP_S = 1e-5


class Reader:
    """Streams in groups, by name. Those of a group are alike and opened together."""

    def __init__(self) -> None:
        self._groups: dict[str, list[Connection]] = {}
        self._logs: dict[str, list[KnownLog]] = {}
        self._failures: list[CheckError] = []
        self._known: KnownLog | None = None

    async def know(self, path: str, conferences: int) -> int:
        """Take a file of encoded events for what streams from the earliest one must bring."""
        known = KnownLog(Postings(conferences), dense=True)
        known.take_in(memoryview(await asyncio.to_thread(Path(path).read_bytes)))
        known.base = known.sequences[0] - 1
        self._known = known
        return len(known.sequences)

    async def start_over(self) -> None:
        """Close everything and forget what went wrong."""
        for group in self._groups:
            await self.close(group)
        self._groups.clear()
        self._failures.clear()

    async def forget(self) -> None:
        """Forget what was to be known."""
        self._known = None

    async def open(
        self,
        group: str,
        port: int,
        streams: int,
        connections: int,
        conferences: int,
        *,
        path: str = _PATH,
        filtered: bool = False,
        earliest: bool = False,
        stalled: bool = False,
        max_batch: int = 0,
    ) -> dict[str, float]:
        """Open streams: of everything, or of a conference each; return when each has begun."""
        request = SubscribeRequest(max_batch_events=max_batch)
        request.heartbeat_interval.FromSeconds(300)
        if earliest:
            request.position = POSITION_EARLIEST
        if filtered:
            postings = Postings(conferences)
            logs = [KnownLog(postings, dense=False) for _ in range(streams)]
        else:
            # What streams of all groups bring has to be the same.
            logs = [self._known or KnownLog(Postings(conferences), dense=True)]
        self._logs[group] = logs
        made, requests = [], []
        for number in range(streams):
            made.append(Stream(f"stream {number}", logs[number % len(logs)], array("d")))
            if filtered:
                wanted = EventFilter(conference_ids=[webhooks.conference_id(number)])
                request.filter.CopyFrom(wanted)
            requests.append(request.SerializeToString())
        return await self._open(
            group, port, made, requests, connections, path, stalled=stalled, at_once=False
        )

    async def resume(self, group: str, port: int, connections: int) -> dict[str, float]:
        """Open the streams of a closed group again, each after its own cursor."""
        made, requests = [], []
        for connection in self._groups[group]:
            for stream in connection.streams:
                assert stream.rest is not None
                made.append(stream.resumed(stream.known, array("d")))
                requests.append(
                    SubscribeRequest(after_cursor=stream.rest.cursor).SerializeToString()
                )
        return await self._open(
            group, port, made, requests, connections, _PATH, stalled=False, at_once=True
        )

    async def finish(self, group: str, events: int, timeout_s: float) -> dict[str, float]:
        """Return when every stream that is open has so many events since its group was opened.

        In a group with filters: when all of them together have.
        """
        streams = self._streams(group, open_only=True)
        filtered = len(self._logs[group]) > 1
        give_up = time.monotonic() + timeout_s
        while True:
            self._check()
            if filtered:
                behind = sum(stream.index for stream in streams) < events
            else:
                behind = min(stream.index for stream in streams) < events
            if not behind:
                break
            if time.monotonic() > give_up:
                slowest = min(streams, key=lambda stream: stream.index)
                raise CheckError(
                    f"after {timeout_s:g} s {slowest.name} has {slowest.index} events,"
                    f" all together {sum(stream.index for stream in streams)}; {events} were due"
                )
            await asyncio.sleep(_LOOK_S)
        return {
            "at": max(stream.at for stream in streams),
            "messages": sum(stream.messages for stream in streams),
            "events": sum(stream.index for stream in streams),
        }

    async def check_complete(self, group: str, first: int, count: int, conferences: int) -> None:
        """Fail unless the streams brought what was posted, and nothing else."""
        self._check()
        streams = self._streams(group)
        if len(self._logs[group]) == 1:
            self._logs[group][0].check_complete(first, count)
            for stream in streams:
                if stream.index != count:
                    raise CheckError(f"{stream.name} has {stream.index} events, not {count}")
            return
        for conference, stream in enumerate(streams):
            due = [n for n in range(first, first + count) if n % conferences == conference]
            if sorted(stream.known.numbers) != due:
                raise CheckError(f"{stream.name} has {list(stream.known.numbers)}, due were {due}")

    async def lags(self, group: str, times: str, since: int) -> list[list[int]]:
        """Return how long after its posting events came: the microseconds, and how many did.

        Only of events posted with the number `since` or a later one.
        """
        sent_at = sendtimes.opened(Path(times))
        counts: Counter[int] = Counter()
        for stream in self._streams(group):
            numbers, marks = stream.known.numbers, stream.marks
            for place in range(0, len(marks), 3):
                at = marks[place]
                for index in range(int(marks[place + 1]), int(marks[place + 2])):
                    number = numbers[index]
                    if number >= since:
                        counts[int((at - sent_at[number]) / _STEP_S)] += 1
        return [[round(step * _STEP_S * 1e6), count] for step, count in sorted(counts.items())]

    async def status(self, group: str) -> dict[str, int]:
        """Return the fewest, the most and all events that streams of the group have."""
        indexes = [stream.index for stream in self._streams(group)]
        return {"fewest": min(indexes), "most": max(indexes), "total": sum(indexes)}

    async def release(self, group: str) -> None:
        """Let a stalled group read again."""
        for connection in self._groups[group]:
            connection.go_on()

    async def close(self, group: str, connections: int | None = None) -> None:
        """Close a group's connections, or only so many of those that are open."""
        open_ones = [it for it in self._groups[group] if not it.may_end]
        for connection in open_ones[:connections]:
            connection.close()

    async def _open(
        self,
        group: str,
        port: int,
        streams: list[Stream],
        requests: list[bytes],
        connections: int,
        path: str,
        *,
        stalled: bool,
        at_once: bool,
    ) -> dict[str, float]:
        opened: list[Connection] = []
        share = -(-len(streams) // connections)
        for start in range(0, len(streams), share):
            connection = Connection(streams[start : start + share], self._failures, stalled=stalled)
            await _connect(connection, port)
            connection.call(f"127.0.0.1:{port}", path, requests[start : start + share])
            opened.append(connection)
            if not at_once:
                await self._begun(connection.streams)
        await self._begun(streams)
        self._groups[group] = opened
        if stalled:
            for connection in opened:
                connection.stop_reading()
        return {"at": max(stream.at for stream in streams)}

    async def _begun(self, streams: Sequence[Stream]) -> None:
        give_up = time.monotonic() + _OPEN_S_MAX
        while not all(stream.messages for stream in streams):
            self._check()
            if time.monotonic() > give_up:
                raise CheckError("not all streams were opened in time")
            await asyncio.sleep(_LOOK_S)

    def _streams(self, group: str, *, open_only: bool = False) -> list[Stream]:
        return [
            stream
            for connection in self._groups[group]
            if not (open_only and connection.may_end)
            for stream in connection.streams
        ]

    def _check(self) -> None:
        if self._failures:
            raise self._failures[0]


async def _connect(connection: Connection, port: int) -> None:
    await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", port)


async def _main() -> None:
    reader = Reader()
    names = "know forget start_over open resume finish check_complete lags status release close"
    await answer_orders({name: getattr(reader, name) for name in names.split()})


if __name__ == "__main__":
    uvloop.run(_main())
