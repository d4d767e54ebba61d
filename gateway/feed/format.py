"""The form in which this gateway keeps events."""

from collections.abc import Callable, Sequence

from google.protobuf.message import DecodeError

from conferencing.v1.event_pb2 import Event
from gateway.feed.frames import EventFraming
from gateway.journal.events import Keys, NewEvent
from gateway.journal.format import EventFormat
from gateway.schema.event_keys import EventKey, keys_of


def event_format(keys: Sequence[EventKey]) -> EventFormat:
    """Return what a log is opened with whose events are found by these keys."""

    def keys_of_body(body: bytes) -> Keys:
        return keys_of(body, keys)

    return EventFormat(keys, keys_of_body, EventFraming)


def stored_event(keys: Sequence[EventKey]) -> Callable[[bytes, bytes], NewEvent]:
    """Return what makes of a body and its signed bytes the event that they were stored as.

    It raises ValueError for a body that is none.
    """

    def event_of(body: bytes, raw: bytes) -> NewEvent:
        try:
            event = Event.FromString(body)
        except DecodeError:
            raise ValueError("it is not an event") from None
        received_at_us = event.received_at.seconds * 1_000_000 + event.received_at.nanos // 1_000
        values = tuple(str(getattr(event, key.name)) for key in keys)
        return NewEvent(event.id, event.type, values, received_at_us, body, raw)

    return event_of
