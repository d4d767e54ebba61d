"""Places of logs in files and streams, what logs hold there, and how a move breaks off."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from gateway.feed.format import stored_event
from gateway.feed.frames import body_of
from gateway.homes import FilePlace, NatsPlace
from gateway.ingest.backfill.complete import CHECKPOINT, read_complete
from gateway.journal.content import Content
from gateway.journal.errors import LogOpenError
from gateway.journal.events import Appended, NewEvent
from gateway.journal.filter import EVERYTHING
from gateway.journal.jetstream import Access, StreamPlace
from gateway.journal.moves import Move, Opening, Standing
from gateway.journal.moving import Place
from gateway.journal.ports import EventLog
from gateway.journal.reading import Span
from tests.harness.events import FORMAT, KEYS, new_event
from tests.harness.loop import LoopThread
from tests.harness.nats import NatsCluster
from tests.journal.jetstream.logs import ROOMY

CONTENT = Content(FORMAT, stored_event(KEYS), body_of, {CHECKPOINT: read_complete})
MARK = b'{"version": 1, "since_us": 5, "until_us": 7}'

# More than one lot of the copy, and not a whole number of groups.
MANY = 700
BEGINS_AT = 8

# What anything may take on the slowest machine, in seconds.
PATIENCE_S = 60.0

T = TypeVar("T")


class Places:
    """Makes places of logs, and does things with the logs there."""

    def __init__(self, loop: LoopThread, folder: Path, cluster: NatsCluster | None) -> None:
        self._loop, self._folder, self._cluster = loop, folder, cluster
        self._count = 0

    def new(self, kind: str) -> Place:
        self._count += 1
        if kind == "file":
            return FilePlace(self._folder / f"{self._count}.db", FORMAT)
        assert self._cluster is not None
        name = f"{self._folder.name}-{self._count}"
        place = StreamPlace(self._cluster.addresses, name[-60:].replace("[", "").replace("]", ""))
        return NatsPlace(place, Access(), self._folder / f"i{self._count}.db", ROOMY, FORMAT)

    def fill(self, place: Place, count: int = MANY, begins_at: int = BEGINS_AT) -> bytes:
        """Have a log hold events and a checkpoint; return its epoch."""

        async def fill() -> bytes:
            log = await place.open(Opening(begins_at))
            events = [new_event(raw=b"%d" % n) for n in range(count)]
            await asyncio.gather(*map(log.journal.append, events))
            await log.checkpoints.set(CHECKPOINT, MARK)
            await log.close()
            return log.journal.epoch

        return self.run(fill())

    def append(self, place: Place, event: NewEvent) -> int:
        async def append() -> int:
            log = await place.open(Opening())
            try:
                return (await log.journal.append(event)).sequence
            finally:
                await log.close()

        return self.run(append())

    def held(self, place: Place) -> "Held":
        """Return what a log holds that lives. Raises LogOpenError for one that does not."""

        async def held() -> Held:
            log = await place.open(Opening())
            try:
                return await held_by(log)
            finally:
                await log.close()

        return self.run(held())

    def lives(self, place: Place, epoch: bytes) -> bool:
        """Whether a gateway could open a log with an epoch there, without making one."""
        standing = self.run(place.standing())
        if standing is None:
            return False
        try:
            return self.held(place).epoch == epoch
        except LogOpenError:
            return False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work, PATIENCE_S)


@dataclass(frozen=True)
class Held:
    epoch: bytes
    span: Span
    events: list[tuple[bytes, bytes]]
    mark: bytes | None


async def held_by(log: EventLog) -> Held:
    if log.copying is not None:
        await log.copying.filled()
    span, events = log.index.span, list[tuple[bytes, bytes]]()
    after = span.oldest - 1
    while after < span.newest:
        batch = await log.index.read(after, EVERYTHING, 500, EVERYTHING)
        numbers = [it.sequence for it in batch.frames]
        raw: dict[int, bytes] = {}
        while rest := numbers[len(raw) :]:
            raw |= await log.index.raw(rest, None)
        events += [(body_of(it.sequence, it.frame), raw[it.sequence]) for it in batch.frames]
        after = batch.through
    return Held(log.journal.epoch, span, events, await log.checkpoints.get(CHECKPOINT))


class BrokenOff(Exception):
    """What a kill does, as far as a place can tell."""


@dataclass(frozen=True)
class Breaking:
    """A place where something breaks off, before or after one of its steps; the rest works."""

    place: Place
    step: str = ""
    when: str = "before"
    # How many events are appended before that breaks off.
    appends: int | None = None

    def __str__(self) -> str:
        return str(self.place)

    async def standing(self) -> Standing | None:
        return await self.place.standing()

    async def open(self, opening: Opening) -> EventLog:
        log = await self.place.open(opening)
        if self.step == "open":
            await log.close()
            raise BrokenOff
        if self.appends is None:
            return log
        left = [self.appends]
        journal = log.journal

        class Journal:
            epoch = property(lambda _: journal.epoch)
            span = property(lambda _: journal.span)
            problem = property(lambda _: journal.problem)

            async def append(self, event: NewEvent) -> Appended:
                if not left[0]:
                    raise BrokenOff
                left[0] -= 1
                return await journal.append(event)

        return replace(log, journal=Journal())

    async def depart(self, standing: Standing, move: Move) -> None:
        await self._step("depart", self.place.depart(standing, move))

    async def settle(self, move: Move) -> None:
        await self._step("settle", self.place.settle(move))

    async def _step(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if (self.step, self.when) == (name, "before"):
            work.close()
            raise BrokenOff
        await work
        if self.step == name:
            raise BrokenOff
