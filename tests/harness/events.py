"""Events as the log takes them, made small, and filters for them."""

import itertools
from collections.abc import Iterable

from conferencing.v1.event_pb2 import Event
from gateway.feed.format import event_format
from gateway.journal.events import Keys, NewEvent
from gateway.journal.filter import Filter
from gateway.schema.event_keys import declared_keys

KEYS = declared_keys()
FORMAT = event_format(KEYS)

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
    return NewEvent(id_, type_, keys_of(type=type_, **keys), received_at_us, body, raw)


def keys_of(**values: str) -> Keys:
    """Return an event's keys by their names."""
    return tuple(values.get(key.name, "") for key in KEYS)


def choosing(**values: Iterable[str]) -> Filter:
    """Return a filter for values of keys, by the keys' names."""
    return Filter.of(KEYS, values)
