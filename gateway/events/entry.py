"""Events as the log holds them: encoded once, with the keys they are found by.

Named tuples, because several are made for each webhook: a frozen dataclass takes four times as
long to make.
"""

from typing import NamedTuple, TypeAlias

Keys: TypeAlias = tuple[str, ...]
"""What an event can be asked for by: a value for each declared key, in their order.

An empty text means that the event has no such key.
"""


class NewEvent(NamedTuple):
    """A verified event on its way into the log.

    `body` is the serialised `Event` without `sequence` and `cursor`, which the log adds; `raw` is
    what the provider signed. Times are microseconds since 1970.
    """

    id: str
    type: str
    keys: Keys
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
    keys: Keys


class Appended(NamedTuple):
    """What became of an append: the event's number, and whether the log already had it."""

    sequence: int
    duplicate: bool
