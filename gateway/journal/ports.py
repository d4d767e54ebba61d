"""The ports of the event log. What keeps the events, the log's home, is behind them.

A journal gives events their numbers, an index finds them, and checkpoints keep what others want to
find again after a restart. How an index learns of its journal's events is the home's own matter:
in a file both are one, and of a broker's stream an index is a copy.

All methods are called from one event loop.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.events import Appended, Entry, NewEvent
from gateway.journal.filter import Filter
from gateway.journal.lag import Lag
from gateway.journal.leasing import Work
from gateway.journal.reading import (
    NOBODY,
    Asker,
    Batch,
    Measures,
    Page,
    Span,
    StoredEvent,
    Stretch,
    TimeBounds,
)
from gateway.journal.retention import Retention
from gateway.schema.event_keys import EventKey

# How long a log's identity is, in bytes. It is made at random, so that no two are ever the same.
EPOCH_BYTES = 8

Listener: TypeAlias = Callable[[Sequence[Entry]], None]
"""Is called with new entries, in the log's order."""


class Journal(Protocol):
    """Gives events their numbers, each id one, and survives whatever the process does not."""

    @property
    def epoch(self) -> bytes:
        """The identity of this log; another log, or the same one started afresh, has another.

        It changes only where a copy begins anew; see `Copying`.
        """

    @property
    def span(self) -> Span:
        """The numbers that are held now."""

    @property
    def problem(self) -> str | None:
        """Why nothing can be stored, as far as is known, and what to do; None if all is well."""

    async def append(self, event: NewEvent) -> Appended:
        """Store an event; returns when it is durable. An id that is held already is not stored.

        Numbers have no holes. They begin at one, or where the log was made to begin. Raises
        LogUnavailableError; the event may have been stored then, and it can be appended again.
        """


class Index(Protocol):
    """Finds the events of a journal, by number, id, time and key.

    Events are read in the form that the framing makes of them, with which the log was opened.
    What is not within `visible` is not there for the reader. Every read raises LogUnavailableError.

    Those who follow the log and those who search it or look events up do not wait for each other.
    The latter are refused with LogBusyError when too many wait already.
    """

    @property
    def keys(self) -> Sequence[EventKey]:
        """What its events are found by; `Keys` and `Limit`s follow this order."""

    @property
    def epoch(self) -> bytes:
        """See `Journal.epoch`."""

    @property
    def span(self) -> Span:
        """The numbers that can be read now."""

    def listen(self, listener: Listener) -> None:
        """Have `listener` called with new entries, in order, when they can be read."""

    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        """Return up to `limit` matching events that come after number `after`, oldest first.

        Fewer, if READ_BYTES_MAX are reached before or if there was much to look at. Raises
        OvertakenError if an event that comes next has been deleted, whether it matched or not.
        """

    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
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
        visible: Filter,
        *,
        newest_first: bool,
        asker: Asker = NOBODY,
    ) -> Page:
        """Return up to `limit` matching events from the beginning of a stretch, or from its end.

        Fewer, if READ_BYTES_MAX are reached before. One step of a search: so many events are looked
        at, and no more. Searches that have had fewer turns go first. Raises LogBusyError.
        """

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        """Return the signed bytes of the first of some numbers, in their order; empty if not held.

        As many as READ_BYTES_MAX allow: whoever wants the rest asks for it. The numbers go up or
        down. None for those who follow the log. For numbers that the reader has been given.
        """

    async def find(
        self, event_id: str, visible: Filter, asker: Asker = NOBODY
    ) -> StoredEvent | None:
        """Return the event with this id, or None if it is not held. Raises LogBusyError."""

    async def first_received_since(self, moment_us: int) -> int:
        """Return the number of the first event received at this moment or later.

        `newest + 1` if there is none. The first in the log's order: where the clock was set back,
        events that were received earlier may follow it, but none precedes it that was received at
        this moment or later.
        """

    async def measures(self, asker: Asker = NOBODY) -> Measures:
        """Return how much the log holds. Raises LogBusyError."""

    async def prune(self, retention: Retention, now: float) -> int:
        """Delete what exceeds the retention; returns how many events were deleted.

        By age goes what was received too long before `now` (seconds since 1970), from the oldest
        on, up to the first event that was not. One from the future has been stored by a clock that
        was wrong, and goes with those that follow it.
        """


class Checkpoints(Protocol):
    """Small values by name that outlive the process, such as how far somebody has come."""

    async def get(self, name: str) -> bytes | None:
        """Return the value that was set last, None if none ever was. Raises LogUnavailableError."""

    async def read(self, name: str) -> Checkpoint:
        """Return the value that was set last, with its revision. Raises LogUnavailableError."""

    async def set(self, name: str, value: bytes) -> None:
        """Keep a value; returns when it is durable. Raises LogUnavailableError."""

    async def replace(self, name: str, value: bytes, revision: int) -> int:
        """Keep a value if none has been set since a revision was read; return the new revision.

        Raises OutdatedError if one has, and LogUnavailableError; the value may have been kept then.
        """


class Broadcast(Protocol):
    """Tells the other gateways on a log something, and hears what they tell.

    At most once: who is not connected, or is too busy, never hears it. So it is for what is only
    known sooner by it.
    """

    @property
    def dropped(self) -> int:
        """How many messages were not sent, because nobody could be reached or too many waited."""

    def send(self, message: bytes) -> None:
        """Send a message to all others, in order; it never fails and never waits."""

    def listen(self, receiver: Callable[[bytes], None]) -> None:
        """Have `receiver`, which does not raise, called with what others send; never its own.

        Somebody else may have sent it: it may be any bytes.
        """


class Lease(Protocol):
    """Lets one of the gateways on a log do what the others need not do as well.

    A gateway that has died, or is held up, loses it after some time to one of those that want it.
    """

    @property
    def holder(self) -> str:
        """The name of the gateway that holds it, as far as is known; empty if none is known to."""

    @property
    def is_held(self) -> bool:
        """Whether this gateway holds it, at this very moment."""

    def check(self) -> None:
        """Raise LeaseLostError if this gateway does not hold it any more.

        For before each step that matters: the process may just have been held up for long.
        """

    async def hold(self, work: Work) -> None:
        """Do work when this gateway holds it, until the work ends; raises what it raises.

        If the lease is lost meanwhile, the work is cancelled before another gateway can have it,
        and is begun anew when this one has it again. When it ends the lease is given up, and when
        this is cancelled the work is cancelled first.
        """


class Copying(Protocol):
    """How an index comes by the events of its journal, where it is a copy of that."""

    @property
    def lag(self) -> Lag | None:
        """What it is behind, None while it is up with the journal.

        It is behind while the journal cannot be read, and then until it has what the journal had
        when that could be read again; at first, until it is filled.
        """

    @property
    def behind(self) -> int:
        """How many events the journal has, as far as is known, that the index has not."""

    @property
    def held(self) -> int:
        """How many events the journal has, as far as is known."""

    @property
    def problem(self) -> str | None:
        """Why no more of them come now; None if all is well."""

    def when_begun_anew(self, told: Callable[[], None]) -> None:
        """Have somebody called whenever the index has begun anew.

        It does when the journal is another one, or has lost events. The epoch is another then, in
        the same turn of the loop; what was read before, and any number, are of the log that was.
        """

    async def settled(self) -> None:
        """Wait until it is known of which log the index is; before, it has the epoch of none."""

    async def filled(self) -> None:
        """Wait until it has what the journal had when the log was opened, if that was known."""

    async def reach(self, sequence: int, within_s: float) -> None:
        """Wait until an event can be read that the journal has; one that it has not is not awaited.

        Raises LogUnavailableError if that takes longer than some seconds, or if the journal cannot
        be asked whether it has it.
        """


class Ahead(Protocol):
    """What comes at a journal's end, before the index has it that is filled from the beginning."""

    @property
    def is_told(self) -> bool:
        """Whether what comes is told at present."""

    def place(self) -> int | None:
        """Return the number after which it begins; None if the index is up, and nothing is told."""

    def begin(self, listener: Listener) -> None:
        """Have `listener` called with entries after that place, until the index has them, too.

        They are in the log's order and the same as those that the index is to have. What is told
        at a time follows one another; where numbers are missing between, the log has lost them.
        """


@dataclass(frozen=True, slots=True)
class EventLog:
    """An open log: its ports, and what it is called. `close` stores what was appended, and ends it.

    Nothing may be asked of the ports after that. `retention` are the log's own limits, by which
    events are deleted without `Index.prune`; None if it has none. `copying` and `ahead` are None if
    journal and index are one. `durability` says in a sentence what a power cut can cost.
    """

    home: str
    journal: Journal
    index: Index
    checkpoints: Checkpoints
    broadcast: Broadcast
    lease: Lease
    close: Callable[[], Coroutine[Any, Any, None]]
    retention: Retention | None = None
    copying: Copying | None = None
    ahead: Ahead | None = None
    durability: str = "a power cut costs nothing: each event is synced to the disk"
