"""The world of one schedule: the real log on real files, the real feed, and everybody around."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, replace

from gateway.feed.window import Window
from gateway.journal.cursor import Cursor
from gateway.journal.errors import LogUnavailableError
from gateway.server.services.subscribe import SubscribeStream
from tests.harness.clock import ManualClock
from tests.oracle import schedule as s
from tests.oracle.history import After, Opening, Rest, Stream
from tests.oracle.kept import Kept
from tests.oracle.model import Model, Posted
from tests.oracle.posts import new_event, posted
from tests.oracle.readers import CountingFeed, Reader
from tests.oracle.stepped import Late, SteppedLoop

# How long a step takes, by the loop's clock: as long as some pauses between deliveries.
_STEP_S = 0.01
# Turns of the loop that news of a commit takes, for schedules in which the loop is busy.
_LATE_TURNS = 300


@dataclass(frozen=True, slots=True)
class Story:
    """A schedule, and what came of it."""

    schedule: s.Schedule
    model: Model
    streams: list[Stream]
    torn: int


class World:
    """Use `run` once."""

    def __init__(self, loop: SteppedLoop, kept: Kept, schedule: s.Schedule) -> None:
        self._loop = loop
        self._kept = kept
        self._schedule = schedule
        self._clock = ManualClock(s.CLOCK_START)
        self.model = Model()
        self._readers: list[Reader] = []
        self._in_flight: set[asyncio.Task[None]] = set()
        self._lives = 0
        self._torn = 0

    async def run(self) -> Story:
        await self._open()
        for step in self._schedule.steps:
            await self._do(step)
        await self._get_room()
        for reader in self._readers:
            reader.unstall()
        await self._answered()
        await self._silence(20.0)
        await self._close()
        self._audit()
        streams = [stream for reader in self._readers for stream in reader.streams]
        return Story(self._schedule, self.model, streams, self._torn)

    async def _do(self, step: s.Step) -> None:
        self._loop.advance(_STEP_S)
        match step:
            case s.Subscribe():
                self._subscribe(step)
            case s.Resume():
                await self._resume(step)
            case s.Leave(reader):
                self._reader(reader).leave()
            case s.Stall(reader):
                self._reader(reader).stall()
            case s.Unstall(reader):
                self._reader(reader).unstall()
            case s.StepClock(seconds):
                self._clock.advance(seconds)
            case s.Silence(seconds):
                await self._silence(seconds)
            case s.Rest():
                await self._rest()
            case _:
                await self._do_to_log(step)

    async def _do_to_log(self, step: s.Step) -> None:
        match step:
            case s.Append(ids, waits):
                self._post(ids)
                await (self._answered() if waits else asyncio.sleep(0))
            case s.Prune(waits):
                await self._prune()
                await (self._answered() if waits else asyncio.sleep(0))
            case s.Crash():
                await self._crash(step)
            case s.DiskFull():
                await self._answered()
                await self._kept.lose_room(self._log)
            case s.DiskFree():
                await self._get_room()
            case s.Restart() | s.Replace():
                await self._close()
                if isinstance(step, s.Replace):
                    self._kept.replace()
                    self.model.era.replaced = True
                await self._open()

    # Posts

    def _post(self, ids: tuple[int, ...], *, answered: bool = True) -> None:
        for number in ids:
            self._start(self._send(posted(number), self._lives, answered))

    async def _send(self, event: Posted, life: int, answered: bool) -> None:
        if life != self._lives:
            return  # it did not reach the process any more
        era, received_at_us = self.model.era, round(self._clock() * 1e6)
        era.post(event, received_at_us)
        try:
            appended = await self._log.journal.append(new_event(event, received_at_us))
        except LogUnavailableError:
            if life == self._lives:
                era.refuse(event, received_at_us, in_doubt=not self._kept.failed_is_nothing)
            return
        if answered and life == self._lives:  # else the answer never left the process
            era.acknowledge(event, received_at_us, appended.sequence, duplicate=appended.duplicate)

    async def _prune(self) -> None:
        await self._answered()
        if not self._kept.can_delete:
            return
        era = self.model.era
        now = self._clock()
        should = era.plan_deletion(round((now - s.RETENTION_S) * 1e6), round(now * 1e6))
        life = self._lives

        async def prune() -> None:
            try:
                count = await self._log.index.prune(s.RETENTION, now)
            except LogUnavailableError:
                return
            if life == self._lives:
                era.delete(should, count)

        self._start(prune())
        await asyncio.sleep(0)  # by now it has begun

    def _start(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _answered(self) -> None:
        while self._in_flight:
            await asyncio.gather(*self._in_flight)

    # Subscribers

    def _reader(self, number: int) -> Reader:
        if not self._readers:
            self._readers.append(Reader("r0"))
        return self._readers[number % len(self._readers)]

    def _subscribe(self, step: s.Subscribe) -> None:
        opening, era = step.opening, self.model.era
        cursors = [cursor for reader in self._readers for cursor in reader.cursors]
        if step.ahead:
            ahead = Cursor(era.epoch, era.known.possible + step.ahead)
            opening = replace(opening, place=After(str(ahead)))
        elif step.old >= 0 and cursors:
            opening = replace(opening, place=After(cursors[step.old % len(cursors)]))
        reader = Reader(f"r{len(self._readers)}")
        self._readers.append(reader)
        self._follow(reader, opening)

    async def _resume(self, step: s.Resume) -> None:
        reader = self._reader(step.reader)
        if not reader.cursors:
            return
        await reader.gone()
        before = next(stream for stream in reversed(reader.streams) if stream.responses)
        reader.unstall()
        cursor = reader.cursors[-1 - step.back % len(reader.cursors)]
        opening = replace(step.opening, wanted=before.opening.wanted, place=After(cursor))
        stream = self._follow(reader, opening)
        if cursor == reader.cursors[-1]:
            stream.resumes = before

    def _follow(self, reader: Reader, opening: Opening) -> Stream:
        return reader.open(self._feed, self._answer, self.model.era, opening, self._schedule.window)

    # Time

    async def _silence(self, seconds: float) -> None:
        await self._rest()
        self._loop.advance(seconds)
        await self._rest(silence=seconds)

    async def _rest(self, silence: float = 0.0) -> None:
        await self._answered()
        await self._loop.rest()
        newest = self.model.era.newest
        self.model.era.settled = newest
        for reader in self._readers:
            if reader.is_open and not reader.stalled:
                stream = reader.streams[-1]
                silent = silence > stream.opening.heartbeat_s
                stream.rests.append(Rest(len(stream.responses), newest, silent))

    # The process

    async def _open(self) -> None:
        schedule = self._schedule
        late = Late(self._loop, _LATE_TURNS) if schedule.tells_late else None
        self._log = await self._kept.open(checkpoints=schedule.checkpoints, late=late)
        if not self.model.eras or self.model.era.epoch != self._log.journal.epoch:
            self.model.begin(self._log.journal.epoch)
        self._audit()
        window = await Window.of(self._log.index, entries_max=self._schedule.window)
        self._feed = CountingFeed(self._log.index, window)
        self._feed.streams = {}
        self._answer = SubscribeStream(
            self._feed,
            self._schedule.age_max_s,
            random.Random(self._schedule.seed),
            self._loop.time,
        )

    async def _close(self) -> None:
        """As the gateway does it: streams are ended in order, what was submitted is stored."""
        known = self.model.era.known
        for reader in self._readers:
            if reader.is_open:
                reader.streams[-1].drained = known
        self._feed.drain()
        await self._loop.rest()
        for reader in self._readers:
            await reader.gone("cut off")
        await self._log.close()
        await self._answered()

    async def _crash(self, step: s.Crash) -> None:
        era = self.model.era
        if self._schedule.checkpoints or step.cut is not None:
            await self._answered()
        torn_from = None
        if step.cut is None:
            self._post(step.ids)
            for _ in range(step.turns):
                await asyncio.sleep(0)
            self._break_off()
        else:
            # The last commit is on its way to the disk: nobody has heard of it yet.
            self._break_off()
            torn_from = self._kept.written()
            self._post(step.ids, answered=False)
            await self._answered()
        self._kept.copy()
        if torn_from is not None and step.cut is not None and not self._schedule.checkpoints:
            self._torn += self._kept.tear(torn_from, step.cut, garbled=step.garbled)
        for reader in self._readers:
            await reader.gone()
        await self._log.close()  # of the process that is gone; what it does now is not looked at
        await self._answered()
        era.in_flight.clear()
        await self._open()

    def _break_off(self) -> None:
        self._lives += 1
        for reader in self._readers:
            reader.break_off(self.model.era)
        self.model.era.crash()

    def _audit(self) -> None:
        for reading in self._kept.read():
            self.model.era.audit(*reading)

    async def _get_room(self) -> None:
        """Have room again; what was refused, and may be stored all the same, is known then."""
        await self._answered()
        await self._kept.get_room(self._log)
        if not self._kept.failed_is_nothing:
            await self._loop.rest()
            self.model.era.in_flight.clear()
            self._audit()
