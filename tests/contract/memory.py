"""A home in memory: the ports as simply as can be, in lists and dicts. The contract's reference.

It does not take turns: nobody is refused for being one too many.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.journal.checkpoint import Checkpoint
from gateway.journal.errors import LogUnavailableError, OutdatedError, OvertakenError
from gateway.journal.events import Appended, Entry, Framed, Keys, NewEvent
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.format import EventFormat
from gateway.journal.leasing import LeaseLostError, Work
from gateway.journal.ports import EPOCH_BYTES, EventLog, Listener
from gateway.journal.reading import (
    NOBODY,
    READ_BYTES_MAX,
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

# Events that one step looks at, at the most.
_STEP = 700


@dataclass(slots=True)
class Kept:
    """What outlives an open log."""

    epoch: bytes = field(default_factory=lambda: secrets.token_bytes(EPOCH_BYTES))
    events: dict[int, NewEvent] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    newest: int = 0
    deleted_through: int = 0
    deleted_received_at_us: int | None = None
    checkpoints: dict[str, bytes] = field(default_factory=dict)
    # Those of the gateways that have it open.
    broadcasts: list["MemoryBroadcast"] = field(default_factory=list)
    revisions: dict[str, int] = field(default_factory=dict)
    lease: asyncio.Lock = field(default_factory=asyncio.Lock)
    holder: "MemoryLease | None" = None

    @property
    def span(self) -> Span:
        return Span(self.deleted_through + 1, self.newest)

    @property
    def size_bytes(self) -> int:
        return sum(len(it.body) + len(it.raw) for it in self.events.values())


class MemoryJournal:
    """A `Journal`. `arrived` is called with each new event's number."""

    def __init__(self, kept: Kept, arrived: Callable[[int], None]) -> None:
        self.kept = kept
        self.arrived = arrived
        self.closed = False

    @property
    def epoch(self) -> bytes:
        return self.kept.epoch

    @property
    def span(self) -> Span:
        return self.kept.span

    @property
    def problem(self) -> str | None:
        return None

    async def append(self, event: NewEvent) -> Appended:
        if self.closed:
            raise LogUnavailableError("the event log is closed")
        if event.id in self.kept.numbers:
            return Appended(self.kept.numbers[event.id], duplicate=True)
        return Appended(self.store(event), duplicate=False)

    def store(self, event: NewEvent) -> int:
        """Give an event the next number; return it."""
        self.kept.newest += 1
        self.kept.events[self.kept.newest] = event
        self.kept.numbers[event.id] = self.kept.newest
        self.arrived(self.kept.newest)
        return self.kept.newest


class MemoryIndex:
    """An `Index`."""

    bytes_max = READ_BYTES_MAX

    def __init__(self, kept: Kept, format_: EventFormat) -> None:
        self.kept = kept
        self.format = format_
        self.framing = format_.framing_of(kept.epoch)
        self.listeners: list[Listener] = []
        self._keys: dict[int, Keys] = {}

    @property
    def keys(self) -> Sequence[EventKey]:
        return self.format.keys

    @property
    def epoch(self) -> bytes:
        return self.kept.epoch

    @property
    def span(self) -> Span:
        return self.kept.span

    def listen(self, listener: Listener) -> None:
        self.listeners.append(listener)

    def arrived(self, sequence: int) -> None:
        """Tell all listeners of a new event."""
        for listener in self.listeners:
            listener([self.entry(sequence)])

    async def read(self, after: int, wanted: Filter, limit: int, visible: Filter) -> Batch:
        if after < self.kept.deleted_through:
            raise OvertakenError(self.span.oldest)
        numbers = range(after + 1, self.kept.newest + 1)
        frames, looked_at = self.step(numbers, wanted.within(visible), limit)
        return Batch(frames, after + looked_at)

    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        found: list[Entry] = []
        for sequence in reversed(self.kept.events):
            entry = self.entry(sequence)
            bytes_max -= len(entry.framed.frame)
            if len(found) == limit or bytes_max < 0:
                break
            found.append(entry)
        return found[::-1]

    async def stretch(self, bounds: TimeBounds, asker: Asker = NOBODY) -> Stretch:
        numbers = [it for it in self.kept.events if self.allows(it, EVERYTHING, bounds)]
        return Stretch(numbers[0] - 1, numbers[-1]) if numbers else Stretch(0, 0)

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
        after = max(stretch.after, self.kept.deleted_through)
        through = max(min(stretch.through, self.kept.newest), after)
        numbers = range(after + 1, through + 1)[:: -1 if newest_first else 1]
        frames, looked_at = self.step(numbers, wanted.within(visible), limit, bounds)
        if newest_first:
            return Page(frames, Stretch(after, through - looked_at))
        return Page(frames, Stretch(after + looked_at, through))

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        size = 0
        for sequence in sequences:
            event = self.kept.events.get(sequence)
            raw = b"" if event is None else event.raw
            size += len(raw)
            if found and size > self.bytes_max:
                break
            found[sequence] = raw
        return found

    async def find(
        self, event_id: str, visible: Filter, asker: Asker = NOBODY
    ) -> StoredEvent | None:
        sequence = self.kept.numbers.get(event_id)
        if sequence is None or not self.allows(sequence, visible):
            return None
        return StoredEvent(self.entry(sequence).framed.frame, self.kept.events[sequence].raw)

    async def first_received_since(self, moment_us: int) -> int:
        for sequence, event in self.kept.events.items():
            if event.received_at_us >= moment_us:
                return sequence
        return self.kept.newest + 1

    async def measures(self, asker: Asker = NOBODY) -> Measures:
        kept, held = self.kept, list(self.kept.events.values())
        oldest_us = held[0].received_at_us if held else None
        newest_us = held[-1].received_at_us if held else None
        return Measures(
            kept.span, kept.size_bytes, oldest_us, newest_us, kept.deleted_received_at_us
        )

    async def prune(self, retention: Retention, now: float) -> int:
        now_us = round(now * 1e6)
        before_us = now_us - round(retention.age_s * 1e6)
        deleted = self.delete(self.expired_through(before_us, now_us), now_us)
        while self.kept.size_bytes > retention.size_bytes:
            deleted += self.delete(self.span.oldest, now_us)
        return deleted

    def expired_through(self, before_us: int, now_us: int) -> int:
        """Return the number up to which events are too old."""
        through = self.kept.deleted_through
        for sequence, event in self.kept.events.items():
            if event.received_at_us < before_us:
                through = sequence
            elif event.received_at_us <= now_us:
                break
        return through

    def delete(self, through: int, now_us: int) -> int:
        """Delete events up to a number; return how many there were."""
        gone = range(self.span.oldest, through + 1)
        for sequence in gone:
            event = self.kept.events.pop(sequence)
            del self.kept.numbers[event.id]
            if event.received_at_us <= now_us:
                latest_us = max(self.kept.deleted_received_at_us or 0, event.received_at_us)
                self.kept.deleted_received_at_us = latest_us
        self.kept.deleted_through += len(gone)
        return len(gone)

    def entry(self, sequence: int) -> Entry:
        framed = Framed(sequence, b"".join(self.framing.frame(sequence, self._body(sequence))))
        return Entry(framed, self.keys_of(sequence), self.kept.events[sequence].received_at_us)

    def keys_of(self, sequence: int) -> Keys:
        if sequence not in self._keys:
            self._keys[sequence] = self.format.keys_of(self._body(sequence))
        return self._keys[sequence]

    def allows(self, sequence: int, wanted: Filter, bounds: TimeBounds | None = None) -> bool:
        """Tell whether an event matches, and was received within some time."""
        if bounds is not None:
            at_us = self.kept.events[sequence].received_at_us
            if not bounds.since_us <= at_us < bounds.until_us:
                return False
        return self.matches(wanted, self.keys_of(sequence))

    def matches(self, wanted: Filter, keys: Keys) -> bool:
        return wanted.matches(keys)

    def step(
        self, numbers: Sequence[int], wanted: Filter, limit: int, bounds: TimeBounds | None = None
    ) -> tuple[Sequence[Framed], int]:
        """Return matching events among the first of some, and how many have been looked at."""
        found: list[Framed] = []
        size = 0
        for looked_at, sequence in enumerate(numbers[:_STEP]):
            if not self.allows(sequence, wanted, bounds):
                continue
            framed = self.entry(sequence).framed
            size += len(framed.frame)
            if len(found) == limit or (found and size > self.bytes_max):
                return found, looked_at
            found.append(framed)
        return found, len(numbers[:_STEP])

    def _body(self, sequence: int) -> bytes:
        return self.kept.events[sequence].body


class MemoryCheckpoints:
    """`Checkpoints`."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    async def get(self, name: str) -> bytes | None:
        return self.kept.checkpoints.get(name)

    async def read(self, name: str) -> Checkpoint:
        return Checkpoint(self.kept.checkpoints.get(name), self.kept.revisions.get(name, 0))

    async def set(self, name: str, value: bytes) -> None:
        self.kept.checkpoints[name] = value
        self.kept.revisions[name] = self.kept.revisions.get(name, 0) + 1

    async def replace(self, name: str, value: bytes, revision: int) -> int:
        if self.kept.revisions.get(name, 0) != revision:
            raise OutdatedError(name)
        await self.set(name, value)
        return self.kept.revisions[name]


class MemoryBroadcast:
    """`Broadcast`."""

    dropped = 0

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.receivers: list[Callable[[bytes], None]] = []
        kept.broadcasts.append(self)

    def send(self, message: bytes) -> None:
        for one in tuple(self.kept.broadcasts):
            if one is not self:
                one.hear(message)

    def listen(self, receiver: Callable[[bytes], None]) -> None:
        self.receivers.append(receiver)

    def hear(self, message: bytes) -> None:
        for receiver in self.receivers:
            receiver(message)

    def close(self) -> None:
        self.kept.broadcasts.remove(self)


class MemoryLease:
    """`Lease`."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept

    @property
    def holder(self) -> str:
        return "" if self.kept.holder is None else str(id(self.kept.holder))

    @property
    def is_held(self) -> bool:
        return self.kept.holder is self

    def check(self) -> None:
        if not self.is_held:
            raise LeaseLostError

    async def hold(self, work: Work) -> None:
        async with self.kept.lease:
            self.kept.holder = self
            try:
                await work()
            finally:
                self.kept.holder = None


class MemoryPlace:
    """Where one log is kept. A broken home is made by putting other classes in these places."""

    def __init__(
        self,
        journal: type[MemoryJournal] = MemoryJournal,
        index: type[MemoryIndex] = MemoryIndex,
        checkpoints: type[MemoryCheckpoints] = MemoryCheckpoints,
        broadcast: type[MemoryBroadcast] = MemoryBroadcast,
        lease: type[MemoryLease] = MemoryLease,
    ) -> None:
        self._journal, self._index, self._checkpoints = journal, index, checkpoints
        self._broadcast = broadcast
        self._lease = lease
        self.kept = Kept()

    async def open(self, format_: EventFormat) -> EventLog:
        index = self._index(self.kept, format_)
        journal = self._journal(self.kept, index.arrived)
        broadcast = self._broadcast(self.kept)

        async def close() -> None:
            journal.closed = True
            broadcast.close()

        checkpoints = self._checkpoints(self.kept)
        lease = self._lease(self.kept)
        return EventLog("memory", journal, index, checkpoints, broadcast, lease, close)

    async def beside(self, format_: EventFormat) -> EventLog:
        return await self.open(format_)

    async def begun(self, format_: EventFormat, begins_at: int) -> EventLog:
        self.kept.newest = self.kept.deleted_through = begins_at - 1
        return await self.open(format_)
