"""What a log has to know of the events it keeps: their keys, and the form that readers want."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from gateway.journal.events import Keys
from gateway.schema.event_keys import EventKey


class FramedBody(NamedTuple):
    """An event's body with what readers want around it, which depends on its number alone."""

    head: bytes
    body: bytes
    tail: bytes


class Framing(Protocol):
    """Makes of an event's body and number what is handed to readers.

    An event is framed once and read a thousand times, so an index may keep frames, and make new
    ones when `version` is another than the one they were made by. It never looks into them.
    """

    @property
    def version(self) -> int:
        """Another whenever the same body and number give other bytes; zero or more."""

    def frame(self, sequence: int, body: bytes) -> FramedBody:
        """Return the frame of an event, the body in it as it is."""


FramingOf: TypeAlias = Callable[[bytes], Framing]
"""Returns the framing of the log with an epoch."""


@dataclass(frozen=True, slots=True)
class EventFormat:
    """What a log is opened with: what its events are found by, and in which form they are read.

    `keys_of` reads the keys out of a body, for a log that was made when others were declared; it
    raises ValueError for a body that cannot be read.
    """

    keys: Sequence[EventKey]
    keys_of: Callable[[bytes], Keys]
    framing_of: FramingOf
