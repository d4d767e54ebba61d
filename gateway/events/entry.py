"""Events as the log holds them: encoded once, with the keys they are found by.

Named tuples, because several are made for each webhook: a frozen dataclass takes four times as
long to make.
"""

from typing import NamedTuple


class EventKeys(NamedTuple):
    """What an event can be asked for by. An empty text means that the event has no such key."""

    type: str
    conference_id: str = ""
    queue_name: str = ""
    call_control_id: str = ""
    call_session_id: str = ""
    connection_id: str = ""


class NewEvent(NamedTuple):
    """A verified event on its way into the log.

    `body` is the serialised `Event` without `sequence` and `cursor`, which the log adds; `raw` is
    what the provider signed. Times are microseconds since 1970.
    """

    id: str
    keys: EventKeys
    received_at_us: int
    body: bytes
    raw: bytes


class StoredFrame(NamedTuple):
    """A stored event as it is read: the whole `Event`, framed as a member of `events`."""

    sequence: int
    frame: bytes


class LogEntry(NamedTuple):
    """A stored event together with what it is found by."""

    stored: StoredFrame
    keys: EventKeys


class Appended(NamedTuple):
    """What became of an append: the event's number, and whether the log already had it."""

    sequence: int
    duplicate: bool
