"""The form in which this gateway keeps events."""

from collections.abc import Sequence

from gateway.feed.frames import EventFraming
from gateway.journal.events import Keys
from gateway.journal.format import EventFormat
from gateway.schema.event_keys import EventKey, keys_of


def event_format(keys: Sequence[EventKey]) -> EventFormat:
    """Return what a log is opened with whose events are found by these keys."""

    def keys_of_body(body: bytes) -> Keys:
        return keys_of(body, keys)

    return EventFormat(keys, keys_of_body, EventFraming)
