"""What a log is made of that is kept, and what a gateway says of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToJson

from conferencing.v1.event_service_pb2 import ListEventsRequest, ListEventsResponse
from gateway.schema.event_types import payload_fields

KEPT = Path(__file__).parent / "kept"
FILE = "events.db"

# How often each event is in a log. It is small: whether it opens and reads is the question.
_ROUNDS = 3


def story() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the type and payload of each event: all that are known, and one that is not."""
    for number in range(_ROUNDS):
        for event_type in (*sorted(payload_fields()), "call.transcribed"):
            yield event_type, {"conference_id": f"c{number}", "call_control_id": "alice"}


def listed(events: Any) -> str:
    """Return all events as JSON, with their signed bytes, without cursors.

    The file is a copy when it is opened again, so the log has another identity then.
    """
    found: ListEventsResponse = events.ListEvents(
        ListEventsRequest(page_size=1_000, include_raw=True)
    )
    for event in found.events:
        event.ClearField("cursor")
    return MessageToJson(found, sort_keys=True) + "\n"
