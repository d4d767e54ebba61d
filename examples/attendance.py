"""Keep track of who is in which conference, from the event feed.

A model subscriber: it can be killed at any moment and resumes where it was, handling an event twice
is harmless, and it does not depend on the order in which webhooks arrive.

    python examples/attendance.py --state attendance.json

With a gateway in TLS, say how to know it, and who you are:

    python examples/attendance.py --state attendance.json --tls-ca ca.pem --token-file token
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

# Errors that a retry resolves: the gateway restarts, a connection breaks.
TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN)
PAUSE_S = 1.0


@dataclass
class Attendance:
    """The state, and the cursor that it is as of. Saved together, so that they always agree."""

    cursor: str = ""
    # By conference and call: when the call last joined and last left, in microseconds since 1970.
    joined: dict[str, dict[str, int]] = field(default_factory=dict)
    left: dict[str, dict[str, int]] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Apply an event. The latest by `occurred_at` counts, not the latest to arrive."""
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
        """Load the saved state, or start with an empty one."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, path: Path) -> None:
        """Replace the file atomically: a crash half-way leaves the old one."""
        new = path.with_suffix(".new")
        new.touch(0o600)  # it tells who spoke with whom
        new.write_text(json.dumps(vars(self)))
        os.replace(new, path)


def follow(stub: Any, attendance: Attendance, path: Path, *, stop: bool) -> None:
    """Follow the feed, for ever or, with `stop`, to the last stored event."""
    request = SubscribeRequest(
        filter=EventFilter(types=TYPES), on_gap=GAP_POLICY_CONTINUE, stop_when_caught_up=stop
    )
    if attendance.cursor:
        request.after_cursor = attendance.cursor
    else:
        request.position = POSITION_EARLIEST
    for response in stub.Subscribe(request):
        if response.HasField("gap"):
            print(f"{response.gap.missed_events or 'some'} events are lost: the state may be wrong")
        before = attendance.present()
        for event in response.events:
            attendance.apply(event)
        attendance.cursor = response.cursor
        attendance.save(path)
        if attendance.present() != before:
            show(attendance)


def show(attendance: Attendance) -> None:
    """Print who is in which conference."""
    for conference, calls in attendance.present().items():
        print(f"{conference}: {', '.join(calls)}")
    if not attendance.present():
        print("nobody is in a conference")


def connect(options: argparse.Namespace) -> grpc.Channel:
    """Connect in TLS if there is a CA to know the gateway by, else in clear."""
    if options.tls_ca is None:
        if options.tls_cert or options.tls_key or options.token_file:
            raise SystemExit("--tls-cert, --tls-key and --token-file need --tls-ca")
        return grpc.insecure_channel(options.address)
    files = (options.tls_ca, options.tls_key, options.tls_cert)
    tls = grpc.ssl_channel_credentials(*(it.read_bytes() if it else None for it in files))
    if options.token_file is not None:
        token = grpc.access_token_call_credentials(options.token_file.read_text().strip())
        tls = grpc.composite_channel_credentials(tls, token)
    return grpc.secure_channel(options.address, tls)


def main() -> None:
    """Follow the feed, across restarts of the gateway."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:50051")
    parser.add_argument("--state", type=Path, required=True, help="file to keep the state in")
    parser.add_argument("--stop", action="store_true", help="stop after the last stored event")
    parser.add_argument("--tls-ca", type=Path, help="CA certificates to know the gateway by")
    parser.add_argument("--tls-cert", type=Path, help="your own certificate")
    parser.add_argument("--tls-key", type=Path, help="its key")
    parser.add_argument("--token-file", type=Path, help="file of a bearer token")
    options = parser.parse_args()
    attendance = Attendance.load(options.state)
    with connect(options) as channel:
        stub = EventServiceStub(channel)
        while True:
            try:
                follow(stub, attendance, options.state, stop=options.stop)
            except grpc.RpcError as error:
                if options.stop or error.code() not in TRANSIENT:
                    raise
                print(f"no connection to the gateway, retrying: {error.details()}")
                time.sleep(PAUSE_S)
            if options.stop:
                return


if __name__ == "__main__":
    main()
