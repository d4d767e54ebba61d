"""Who is in which conference, kept from the event feed.

A subscriber as it should be written: it can be stopped at any moment and goes on where it was,
takes an event twice without harm, and does not care in which order the provider's webhooks came.

    python examples/attendance.py --state attendance.json
"""

import argparse
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    POSITION_EARLIEST,
    EventFilter,
    SubscribeRequest,
)
from conferencing.v1.event_service_pb2_grpc import EventServiceStub

TYPES = ("conference.participant.joined", "conference.participant.left", "conference.ended")

# What passes when one asks again: the gateway restarts, a connection breaks.
PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN)
PAUSE_S = 1.0


@dataclass
class Attendance:
    """The state, and the cursor it is as of. Saved together, so that they always agree."""

    cursor: str = ""
    # By conference and call: when it was last seen to join and to leave, in microseconds.
    joined: dict[str, dict[str, int]] = field(default_factory=dict)
    left: dict[str, dict[str, int]] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Take an event in. The latest by `occurred_at` counts, not the latest to arrive."""
        at = event.occurred_at.ToMicroseconds()
        if event.type == "conference.ended":
            self.ended[event.conference_id] = at
            return
        seen = self.joined if event.type == "conference.participant.joined" else self.left
        calls = seen.setdefault(event.conference_id, {})
        calls[event.call_control_id] = max(at, calls.get(event.call_control_id, 0))

    def present(self) -> dict[str, list[str]]:
        """Return the calls that are in each conference now."""
        found = {}
        for conference, calls in self.joined.items():
            left = self.left.get(conference, {})
            here = sorted(call for call, at in calls.items() if at > left.get(call, 0))
            if here and conference not in self.ended:
                found[conference] = here
        return found

    @classmethod
    def load(cls, path: Path) -> "Attendance":
        """Read what was saved, or begin."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, path: Path) -> None:
        """Write it all at once: whoever is killed half-way leaves the old file."""
        new = path.with_suffix(".new")
        new.touch(0o600)  # whoever reads it knows who spoke with whom
        new.write_text(json.dumps(vars(self)))
        os.replace(new, path)


def follow(stub: Any, attendance: Attendance, path: Path, *, stop: bool) -> None:
    """Follow the feed, for ever or until everything held has been seen."""
    request = SubscribeRequest(
        filter=EventFilter(types=TYPES), on_gap=GAP_POLICY_CONTINUE, stop_when_caught_up=stop
    )
    if attendance.cursor:
        request.after_cursor = attendance.cursor
    else:
        request.position = POSITION_EARLIEST
    for response in stub.Subscribe(request):
        if response.HasField("gap"):
            print(f"{response.gap.missed_events or 'some'} events are lost, the state has holes")
        before = attendance.present()
        for event in response.events:
            attendance.apply(event)
        attendance.cursor = response.cursor
        attendance.save(path)
        if attendance.present() != before:
            show(attendance)


def show(attendance: Attendance) -> None:
    """Print who is where."""
    for conference, calls in attendance.present().items():
        print(f"{conference}: {', '.join(calls)}")
    if not attendance.present():
        print("nobody is in a conference")


def main() -> None:
    """Follow the feed across restarts of the gateway."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--state", type=Path, required=True, help="where to keep the state")
    parser.add_argument("--stop", action="store_true", help="stop when everything has been seen")
    options = parser.parse_args()
    attendance = Attendance.load(options.state)
    with grpc.insecure_channel(options.address) as channel:
        stub = EventServiceStub(channel)
        while True:
            try:
                follow(stub, attendance, options.state, stop=options.stop)
            except grpc.RpcError as error:
                if options.stop or error.code() not in PASSING:
                    raise
                print(f"the gateway is away: {error.details()}")
                time.sleep(PAUSE_S)
            if options.stop:
                return


if __name__ == "__main__":
    main()
