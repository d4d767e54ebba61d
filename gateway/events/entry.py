"""Events as the log holds them: encoded once, with the keys they are found by."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventKeys:
    """What an event can be asked for by. An empty text means that the event has no such key."""

    type: str
    conference_id: str = ""
    queue_name: str = ""
    call_control_id: str = ""
    call_session_id: str = ""
    connection_id: str = ""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A verified event on its way into the log.

    `body` is the serialised `Event` without `sequence` and `cursor`, which the log adds; `raw` is
    what the provider signed. Times are microseconds since 1970.
    """

    id: str
    keys: EventKeys
    received_at_us: int
    body: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A stored event. `frame` is the whole `Event`, framed as a member of a response's `events`."""

    sequence: int
    keys: EventKeys
    received_at_us: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of an append: the event's number, and whether the log already had it."""

    sequence: int
    duplicate: bool
