"""Ingest: signed webhooks verified and durable, beside the least that it takes."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

from bench.contestants.contestant import CheckError
from bench.feed.stage import POST_CONNECTIONS, Stage, feed_info
from bench.processes import Process, free_port, wait_for_port
from bench.rounds import Spread

# Webhooks of the first load of each: it tells the speed.
_WARM_UP = 500


@dataclass(frozen=True, slots=True)
class IngestTurn:
    """Webhooks that were answered with 200."""

    rate: float
    busy: float


@dataclass(frozen=True, slots=True)
class Ingest:
    """The turns of both, in the order of the rounds."""

    gateway: list[IngestTurn]
    floor: list[IngestTurn]

    @property
    def of_floor(self) -> Spread:
        """The gateway's rate as a share of the floor's, within rounds."""
        pairs = zip(self.gateway, self.floor, strict=True)
        return Spread.of([mine.rate / theirs.rate for mine, theirs in pairs])


def measure_ingest(stage: Stage, rounds: int, turn_s: float) -> Ingest:
    """Let gateway and floor take turns of about so many seconds."""
    gateway = stage.gateway(stage.log("ingest"))
    port = free_port()
    floor = stage.processes.start_module(
        "bench.feed.floor_server", str(port), str(stage.log("floor")), measured=True
    )
    wait_for_port(floor, port)
    sides = ((gateway.process, gateway.http_port), (floor, port))
    posted: Counter[Process] = Counter()

    def take(it: Process, at: int, count: int) -> IngestTurn:
        posted[it] += count
        return _turn(stage, it, at, count)

    sizes = {it: round(take(it, at, _WARM_UP).rate * turn_s) for it, at in sides}
    turns: dict[Process, list[IngestTurn]] = {it: [] for it, _ in sides}
    for number in range(rounds):
        for it, at in sides if number % 2 == 0 else reversed(sides):
            turns[it].append(stage.turns.take(partial(take, it, at, sizes[it])))
    accepted = posted[gateway.process]
    if feed_info(gateway).event_count != accepted:
        raise CheckError(f"not all of {accepted} webhooks accepted are in the log")
    gateway.process.kill()
    floor.kill()
    return Ingest(turns[gateway.process], turns[floor])


def _turn(stage: Stage, process: Process, port: int, count: int) -> IngestTurn:
    stage.prepare(count)
    before = process.cpu_s() or 0.0
    done = stage.poster.ask("flood", port=port, connections=POST_CONNECTIONS)
    busy = ((process.cpu_s() or 0.0) - before) / done["seconds"]
    return IngestTurn(done["posted"] / done["seconds"], busy)
