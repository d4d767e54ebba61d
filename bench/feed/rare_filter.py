"""Rare filters: what a search for a few events in a long log costs, itself and others."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from bench.contestants.contestant import CheckError
from bench.feed import webhooks
from bench.feed.delay import GROUP, DelayTurn, SteadyLoad, Subscribers, post_steadily
from bench.feed.remote import Remote
from bench.feed.stage import Stage
from bench.feed.webhooks import Template
from bench.rounds import Spread
from gateway.journal.events import NewEvent
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.ports import EventLog
from gateway.journal.reading import Stretch, TimeBounds
from gateway.journal.retention import Retention
from gateway.journal.sqlite import open_log
from tests.harness.events import FORMAT

# Of so many events in the log, so many match.
EVENTS = 200_000
MATCHING = 20

# The queue that only those are about.
RARE_QUEUE = "rare"

# Streams that follow live, and searches beside them: programs that look something up every now and
# then, each after a pause, in seconds.
HEALTHY = 90
SEARCHERS = 20
PAUSE_S = 0.25

# Events per second: well below what the gateway can do, so that no queue builds up.
RATE = 250

_WARM_UP_S = 0.4

# Appends submitted at one time.
_LOT = 4_096

_RETENTION = Retention(7 * 86_400, 2**32)


@dataclass(frozen=True, slots=True)
class RareFilter:
    """Milliseconds that the log takes for a page and for catching up, and delays of live streams.

    The turns of live streams: alone, beside searches, alone again, and so on.
    """

    page_ms: Spread
    catch_up_ms: Spread
    alone: list[DelayTurn]
    beside: list[DelayTurn]
    searches: int
    # Whether who measured waited for no core.
    goes_first: bool

    @property
    def tax(self) -> Spread:
        """The p99 beside searches as a multiple of that in the turns just before and after."""
        return _of_neighbours(self.beside, self.alone, self.alone[1:])

    @property
    def noise(self) -> Spread:
        """The same between turns that are all alone: what the machine by itself makes of it."""
        return _of_neighbours(self.alone[1:], self.alone, self.alone[2:])


def _of_neighbours(
    turns: Sequence[DelayTurn], before: Sequence[DelayTurn], after: Sequence[DelayTurn]
) -> Spread:
    return Spread.of(
        [
            turn.lags.p99 / mean((earlier.lags.p99, later.lags.p99))
            for turn, earlier, later in zip(turns, before, after, strict=False)
        ]
    )


def measure_rare_filter(stage: Stage, rounds: int, seconds: float) -> RareFilter:
    """Write a log, search it, then let streams take turns alone and beside such searches."""
    path = stage.log("rare")
    page, catch_up = asyncio.run(_searched(path, rounds))
    gateway = stage.gateway(path)
    searcher = Remote.start(stage.processes, "bench.feed.searcher")
    load = SteadyLoad(RATE, seconds, _WARM_UP_S)
    alone, beside, searches = [], [], 0

    def turn() -> DelayTurn:
        stage.open(GROUP, gateway.grpc_port, HEALTHY)
        taken = post_steadily(stage, gateway, Subscribers(HEALTHY), load)
        stage.close(GROUP, gateway)
        return taken

    def turn_beside() -> DelayTurn:
        nonlocal searches
        searcher.ask(
            "begin",
            address=gateway.address,
            queue=RARE_QUEUE,
            due=MATCHING,
            programs=SEARCHERS,
            pause_s=PAUSE_S,
        )
        try:
            return turn()
        finally:
            searches += searcher.ask("end")

    # Who measures shares a core with the programs that search.
    go_first = [it.ask("go_first") for it in (stage.reader, stage.poster)]
    turn()  # warms up
    alone.append(stage.turns.take(turn))
    for _ in range(rounds):
        beside.append(stage.turns.take(turn_beside))
        alone.append(stage.turns.take(turn))
    gateway.process.kill()
    return RareFilter(page, catch_up, alone, beside, searches, all(go_first))


async def _searched(path: Path, rounds: int) -> tuple[Spread, Spread]:
    log = await open_log(path, FORMAT)
    await _fill(log)
    wanted = Filter.of(webhooks.KEYS, {"queue_name": [RARE_QUEUE]})

    async def page() -> int:
        rest, found = Stretch(0, log.index.span.newest), 0
        while not rest.is_empty:
            step = await log.index.page(
                wanted, TimeBounds(), rest, 100, EVERYTHING, newest_first=False
            )
            rest, found = step.rest, found + len(step.frames)
        return found

    async def catch_up() -> int:
        after = found = 0
        while after < log.index.span.newest:
            batch = await log.index.read(after, wanted, 256, EVERYTHING)
            after, found = batch.through, found + len(batch.frames)
        return found

    async def took(search: Callable[[], Awaitable[int]]) -> Spread:
        times = []
        for _ in range(1 + 10 * rounds):
            begun = time.perf_counter()
            if await search() != MATCHING:
                raise CheckError("a search did not find what matches")
            times.append((time.perf_counter() - begun) * 1e3)
        return Spread.of(times[1:])  # the first one opens the files

    found = await took(page), await took(catch_up)
    await log.close()
    return found


async def _fill(log: EventLog) -> None:
    templates = [Template.of(0), Template.of(1)]
    every = EVENTS // MATCHING
    queue = next(n for n, key in enumerate(webhooks.KEYS) if key.name == "queue_name")

    def event(number: int) -> NewEvent:
        body, raw = templates[number % 2].with_number(number, webhooks.CONFERENCES)
        keys = list(webhooks.keys_of(number, webhooks.CONFERENCES))
        keys[queue] = RARE_QUEUE if number % every == every // 2 else ""
        now_us = round(time.time() * 1e6)
        id_, type_ = webhooks.id_of(number), webhooks.type_of(number)
        return NewEvent(f"rare-{id_}", type_, tuple(keys), now_us, body, raw)

    for start in range(0, EVENTS, _LOT):
        numbers = range(start, min(start + _LOT, EVENTS))
        await asyncio.gather(*map(log.journal.append, map(event, numbers)))
