"""Events as the log takes them, made small."""

import itertools

from conferencing.v1.event_pb2 import Event
from gateway.events.entry import EventKeys, NewEvent

_numbers = itertools.count(1)


def new_event(
    type_: str = "conference.participant.joined",
    *,
    id_: str | None = None,
    received_at_us: int = 0,
    raw: bytes = b"{}",
    **keys: str,
) -> NewEvent:
    id_ = id_ or f"made-{next(_numbers)}"
    body = Event(id=id_, type=type_, **keys).SerializeToString()  # type: ignore[arg-type]
    return NewEvent(id_, EventKeys(type_, **keys), received_at_us, body, raw)
