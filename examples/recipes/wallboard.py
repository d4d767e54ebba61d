"""Show how many callers wait in each queue, how long, and who is in which conference.

    python examples/recipes/wallboard.py

It keeps nothing: the state is made of the stored events at the start, and of new ones after that.
"""

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, EventFilter, SubscribeRequest
from gateway.client import CHANNEL_OPTIONS, subscribe

# What an event says of a call: that it is in a queue or conference now, or no more.
COMES = {"call.enqueued", "conference.participant.joined"}
GOES = {"call.dequeued", "conference.participant.left"}
ENDED = "conference.ended"


@dataclass
class Board:
    """What was last heard of each call in each place, by the time when it happened."""

    # By place and call: when it last came and last went, in seconds since 1970.
    came: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    went: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    ended: set[str] = field(default_factory=set)

    def apply(self, event: Event) -> None:
        """Apply an event: events come in any order, so the latest in time counts."""
        at = event.occurred_at.ToMicroseconds() / 1e6
        place = f"queue {event.queue_name}" if event.queue_name else event.conference_id
        if event.type == ENDED:
            self.ended.add(place)
        else:
            seen = (self.came if event.type in COMES else self.went)[place]
            seen[event.call_control_id] = max(at, seen.get(event.call_control_id, 0.0))

    def lines(self, now: float) -> Iterator[str]:
        """Yield a line for each place in which somebody is."""
        for place, calls in sorted(self.came.items()):
            gone = self.went.get(place, {})
            here = [at for call, at in calls.items() if at > gone.get(call, 0.0)]
            if here and place not in self.ended:
                yield f"{place}: {len(here)}, the first for {now - min(here):.0f} s"


async def main() -> None:
    """Print the board whenever it changes, and once a minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--once", action="store_true", help="print the board as it is, and end")
    chosen = parser.parse_args()
    board = Board()
    request = SubscribeRequest(
        filter=EventFilter(types=[*COMES, *GOES, ENDED]),
        position=POSITION_EARLIEST,
        stop_when_caught_up=chosen.once,
    )
    # So that the waiting times move on: a heartbeat is a response, too.
    request.heartbeat_interval.seconds = 60
    async with grpc.aio.insecure_channel(chosen.address, CHANNEL_OPTIONS) as channel:
        async for response in subscribe(channel, request):
            for event in response.events:
                board.apply(event)
            if response.live and not chosen.once:
                print(*board.lines(time.time()), "", sep="\n", flush=True)
    print(*board.lines(time.time()), sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
