"""Catching up: a log much longer than what the gateway holds in memory, from its beginning."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.contestants.gateway import GatewayProcess
from bench.feed import webhooks
from bench.feed.stage import Stage
from bench.feed.webhooks import NewEvents
from bench.rounds import Spread
from gateway.journal.events import Entry
from gateway.journal.sqlite import open_log
from tests.harness.events import FORMAT

TOGETHER = 10

# Appends submitted at one time.
_LOT = 4_096


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Events per second that streams got, all of them together: one alone, and ten at once."""

    events: int
    alone: Spread
    together: Spread
    busy: float


def measure_catch_up(stage: Stage, events: int, rounds: int) -> CatchUp:
    """Write a log, start a gateway on it and read it from the beginning."""
    log = stage.log("catch-up")
    frames = stage.processes.folder / "frames"
    asyncio.run(write_log(log, frames, events))
    # What is delivered is compared with what was stored, byte for byte.
    stage.reader.ask("know", path=str(frames), conferences=webhooks.CONFERENCES)
    gateway = stage.gateway(log)
    alone: list[float] = []
    together: list[float] = []
    before, started = gateway.process.cpu_s() or 0.0, time.monotonic()
    for _ in range(rounds):
        alone.append(stage.turns.take(partial(_rate, stage, gateway, 1, events)))
        together.append(
            stage.turns.take(partial(_rate, stage, gateway, TOGETHER, events // TOGETHER))
        )
    busy = ((gateway.process.cpu_s() or 0.0) - before) / (time.monotonic() - started)
    gateway.process.kill()
    stage.reader.ask("forget")
    return CatchUp(events, Spread.of(alone), Spread.of(together), busy)


def _rate(stage: Stage, gateway: GatewayProcess, streams: int, events: int) -> float:
    """Read at least so many events on each stream; returns all deliveries per second."""
    begun = time.monotonic()
    stage.open("catch-up", gateway.grpc_port, streams, earliest=True)
    done = stage.finish("catch-up", events)
    stage.close("catch-up", gateway)
    return done["events"] / (done["at"] - begun)


async def write_log(path: Path, frames: Path, events: int) -> None:
    """Store events in a log through its own interface, and their frames in a file beside."""
    log = await open_log(path, FORMAT)
    made = NewEvents()
    with frames.open("wb") as file:

        def write(entries: Sequence[Entry]) -> None:
            file.writelines(entry.framed.frame for entry in entries)

        log.index.listen(write)
        for start in range(0, events, _LOT):
            numbers = range(start, min(start + _LOT, events))
            await asyncio.gather(*(log.journal.append(made.event(number)) for number in numbers))
    await log.close()
