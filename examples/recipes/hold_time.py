"""Say so when a caller waits in a queue for longer than a limit, once for each caller.

    python examples/recipes/hold_time.py --state waiting.json --limit 60

Replace `print` by what wakes somebody up. The file holds who waits and who was told of, with the
cursor that this is as of, so nobody is forgotten across a restart. Who was told of just before a
crash may be told of again.
"""

import argparse
import asyncio
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import grpc

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, EventFilter, SubscribeRequest
from gateway.client import CHANNEL_OPTIONS, subscribe

DAY_S = 86_400
ENQUEUED, DEQUEUED = "call.enqueued", "call.dequeued"


@dataclass
class Waiting:
    """Who waits where since when, in seconds since 1970, by call."""

    cursor: str = ""
    since: dict[str, float] = field(default_factory=dict)
    queue: dict[str, str] = field(default_factory=dict)
    # When a call was last seen to leave, for a day: events come in any order.
    left: dict[str, float] = field(default_factory=dict)
    # Since when those wait who were told of.
    told: dict[str, float] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Apply an event: what happened last counts, whatever arrived last."""
        call, at = event.call_control_id, event.occurred_at.ToMicroseconds() / 1e6
        if event.type == DEQUEUED:
            self.left[call] = max(at, self.left.get(call, 0.0))
        elif at >= self.since.get(call, 0.0):
            self.since[call], self.queue[call] = at, event.queue_name
        if self.since.get(call, 0.0) <= self.left.get(call, -1.0):
            self.since.pop(call, None)

    def too_long(self, limit_s: float, now: float) -> list[str]:
        """Return a line for each call that waits too long and was not told of yet."""
        late = {it: at for it, at in self.since.items() if now - at > limit_s}
        late = {it: at for it, at in late.items() if self.told.get(it) != at}
        self.told = {it: at for it, at in self.told.items() if it in self.since} | late
        self.left = {it: at for it, at in self.left.items() if now - at < DAY_S}
        return [f"{it} waits in {self.queue[it]} for {now - self.since[it]:.0f} s" for it in late]

    def save(self, path: Path) -> None:
        """Replace the file atomically: a crash half-way leaves the old one."""
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self)))
        os.replace(new, path)


async def watch(waiting: Waiting, limit_s: float, path: Path) -> None:
    """Look every second: an event comes when somebody begins to wait, none when it gets long."""
    while True:
        late = waiting.too_long(limit_s, time.time())
        for line in late:
            print(f"ALARM: {line}", flush=True)
        if late:
            waiting.save(path)
        await asyncio.sleep(1)


async def main() -> None:
    """Follow the queues' events for ever, and watch the clock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--state", type=Path, required=True, help="file to keep the state in")
    parser.add_argument("--limit", type=float, default=60, help="seconds that a caller may wait")
    chosen = parser.parse_args()
    waiting = Waiting()
    if chosen.state.exists():
        waiting = Waiting(**json.loads(chosen.state.read_text()))
    request = SubscribeRequest(filter=EventFilter(types=[ENQUEUED, DEQUEUED]))
    if waiting.cursor:
        request.after_cursor = waiting.cursor
    else:
        request.position = POSITION_EARLIEST
    clock: asyncio.Task[None] | None = None
    async with grpc.aio.insecure_channel(chosen.address, CHANNEL_OPTIONS) as channel:
        async for response in subscribe(channel, request):
            for event in response.events:
                waiting.apply(event)
            waiting.cursor = response.cursor
            waiting.save(chosen.state)
            # Before that, whoever seems to wait may have left long ago.
            if response.live and clock is None:
                clock = asyncio.create_task(watch(waiting, chosen.limit, chosen.state))


if __name__ == "__main__":
    asyncio.run(main())
