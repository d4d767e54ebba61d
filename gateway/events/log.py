"""The event log: one interface, whatever keeps the events.

LogError
+-- LogUnavailableError   events cannot be stored or read now (disk full, server away)
|   +-- LogBusyError      too many want to read already
+-- LogOpenError          the log cannot be opened at all; the text says what to do
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.events.entry import Appended, LogEntry, NewEvent, StoredFrame
from gateway.events.filter import Filter
from gateway.schema.event_keys import EventKey

# What one read returns at the most, in bytes, if it is more than one event: a batch for a stream is
# as large. A thousand events of half a megabyte each must not be in memory at one time.
READ_BYTES_MAX = 1024 * 1024

# How long a log's identity is. It is made at random, so that no two are ever the same.
EPOCH_BYTES = 8


class LogError(Exception):
    """The log failed."""


class LogUnavailableError(LogError):
    """Events cannot be stored or read now; it may pass."""


class LogBusyError(LogUnavailableError):
    """Too many want to read already: nothing was begun. It may be asked for again."""


class LogOpenError(LogError):
    """The log cannot be opened."""


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Matching events of a stretch of the log, in its order.

    Every event up to and including number `through` has been looked at. `oldest` is the oldest
    number that the log held when the stretch was read: a reader standing before `oldest - 1` has
    missed events.
    """

    frames: Sequence[StoredFrame]
    through: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Page:
    """Matching events of a stretch, in the order asked for, and what has not been looked at yet."""

    frames: Sequence[StoredFrame]
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
class Complete:
    """A span of time, in microseconds since 1970, of which the log holds everything."""

    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class LogInfo:
    """How far the log reaches. Times are microseconds since 1970, None while it is empty."""

    span: Span
    # What the log takes on the disk, give or take what is on its way there.
    size_bytes: int
    oldest_received_at_us: int | None
    newest_received_at_us: int | None
    retention_age_s: float
    retention_bytes: int
    backend: str
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

Listener = Callable[[Sequence[LogEntry]], None]


class EventLog(Protocol):
    """Keeps events in order, each id once, and survives whatever the process does not.

    Reads and appends raise LogUnavailableError. All methods are called from one event loop, and
    the listener is called in it.

    Those who follow the log and those who search it or look events up do not wait for each other.
    The latter are refused with LogBusyError when too many wait already.
    """

    @property
    def keys(self) -> Sequence[EventKey]:
        """What its events are found by; `Keys` and `Limit`s follow this order."""

    @property
    def epoch(self) -> bytes:
        """The identity of this log; another log, or the same one started afresh, has another."""

    @property
    def span(self) -> Span:
        """What the log holds now."""

    @property
    def complete(self) -> Complete | None:
        """Of which time nothing is known to be missing, None if nobody has ever looked.

        Durable, so that looking goes on where it stopped.
        """

    @property
    def problem(self) -> str | None:
        """Why nothing can be stored, as far as is known, and what to do; None if all is well."""

    async def mark_complete(self, until_us: int) -> None:
        """Extend `complete` to this moment; one that it covers already changes nothing.

        The first mark ever is also where it begins.
        """

    async def correct_complete(self, complete: Complete) -> None:
        """Replace `complete`, which was marked by a clock that was wrong."""

    def listen(self, listener: Listener) -> None:
        """Have `listener` called with new entries, in order, after they are durable.

        It is called before the append that brought them returns.
        """

    async def append(self, event: NewEvent) -> Appended:
        """Store an event; returns when it is durable. An id that is held already is not stored."""

    async def read(self, after: int, wanted: Filter, limit: int) -> Batch:
        """Return up to `limit` matching events that come after number `after`, oldest first.

        Fewer, if READ_BYTES_MAX are reached before.
        """

    async def recent(self, limit: int, bytes_max: int) -> Sequence[LogEntry]:
        """Return the newest events, oldest first: up to `limit`, up to so many bytes of frames."""

    async def stretch(self, bounds: TimeBounds, asker: Asker = NOBODY) -> Stretch:
        """Return where all events of a time lie; others may lie between them.

        Raises LogBusyError.
        """

    async def page(
        self,
        wanted: Filter,
        bounds: TimeBounds,
        stretch: Stretch,
        limit: int,
        *,
        newest_first: bool,
        asker: Asker = NOBODY,
    ) -> Page:
        """Return up to `limit` matching events from the beginning of a stretch, or from its end.

        Fewer, if READ_BYTES_MAX are reached before. One step of a search: so many events are looked
        at, and no more. Searches that have had fewer turns go first.
        """

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        """Return the signed bytes of the first of some numbers, in their order; empty if not held.

        As many as READ_BYTES_MAX allow: whoever wants the rest asks for it. The numbers go up or
        down. None for those who follow the log.
        """

    async def find(self, event_id: str, asker: Asker = NOBODY) -> StoredEvent | None:
        """Return the event with this id, or None if it is not held."""

    async def first_received_since(self, moment_us: int) -> int:
        """Return the number of the first event received at this moment or later.

        `newest + 1` if there is none. The first in the log's order: where the clock was set back,
        events that were received earlier may follow it, but none precedes it that was received at
        this moment or later.
        """

    async def info(self, asker: Asker = NOBODY) -> LogInfo:
        """Return how far the log reaches."""

    async def prune(self) -> int:
        """Delete what is beyond the retention; returns how many events were deleted.

        By age goes what was received too long ago, from the oldest on, up to the first event that
        was not. One from the future has been stored by a clock that was wrong, and goes with those
        that follow it.
        """

    async def close(self) -> None:
        """Store what has been appended and close the log."""
