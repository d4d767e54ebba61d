"""Events as the log takes and gives them: a body, a number and the keys they are found by.

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

    `body` is the event encoded, without what the log gives it; `raw` is what the provider signed.
    Times are microseconds since 1970.
    """

    id: str
    type: str
    keys: Keys
    received_at_us: int
    body: bytes
    raw: bytes


class Framed(NamedTuple):
    """A stored event as readers get it: its number, and what the log's framing made of it."""

    sequence: int
    frame: bytes


class Entry(NamedTuple):
    """A stored event together with what it is found by, and when it was received.

    In microseconds since 1970.
    """

    framed: Framed
    keys: Keys
    received_at_us: int = 0


class Appended(NamedTuple):
    """What became of an append: the event's number, and whether the log already had it."""

    sequence: int
    duplicate: bool
