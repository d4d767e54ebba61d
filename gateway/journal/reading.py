"""What is read from an index: parts of the log, and the events in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gateway.journal.events import Framed

# What one read returns at the most, in bytes, if it is more than one event: a batch for a stream is
# as large. A thousand events of half a megabyte each must not be in memory at one time.
READ_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Span:
    """What the log holds: numbers from `oldest` to `newest`.

    When it holds nothing, `oldest` is `newest + 1`, so that `oldest - 1` is always the place just
    before whatever comes first.
    """

    oldest: int
    newest: int

    @property
    def count(self) -> int:
        """How many events are held."""
        return self.newest - self.oldest + 1


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a log with the numbers above `after`, up to and including `through`."""

    after: int
    through: int

    @property
    def is_empty(self) -> bool:
        """Whether there is no number in it."""
        return self.after >= self.through


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Batch:
    """Matching events in the log's order, and the number up to which all have been looked at.

    Compared by identity: readers at one position are given the very same batch, so that who sends
    it on encodes it once.
    """

    frames: Sequence[Framed]
    through: int


@dataclass(frozen=True, slots=True)
class Page:
    """Matching events of a stretch, in the order asked for, and what has not been looked at yet."""

    frames: Sequence[Framed]
    rest: Stretch


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event together with the bytes that the provider signed."""

    frame: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class TimeBounds:
    """Received at or after `since_us` and before `until_us`, in microseconds since 1970."""

    since_us: int = 0
    until_us: int = 2**62

    @property
    def is_everything(self) -> bool:
        """Whether no event is outside."""
        return self.since_us <= 0 and self.until_us >= 2**62


@dataclass(frozen=True, slots=True)
class Measures:
    """How much the log holds. Times are microseconds since 1970, None while it is empty."""

    span: Span
    # What the log takes on the disk, give or take what is on its way there.
    size_bytes: int
    oldest_received_at_us: int | None
    newest_received_at_us: int | None
    # When the newest of the events that retention has deleted was received; None if none ever was.
    # Times that lay in the future when it was deleted do not count.
    deleted_received_at_us: int | None


class Asker(NamedTuple):
    """Who asks for something that may have to wait its turn, and how many turns it has had.

    `name` tells callers apart: those who have few calls waiting go before those who have many.
    """

    name: str = ""
    turns: int = 0


# Somebody who has no other calls.
NOBODY = Asker()
