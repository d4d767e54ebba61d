"""Fan-out: everything that is posted, to a thousand subscribers, as fast as it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bench.contestants.gateway import GatewayProcess
from bench.feed import webhooks
from bench.feed.remote import Remote
from bench.feed.stage import FINISH_S_MAX, Stage
from bench.processes import Process, free_port, wait_for_port
from bench.rounds import Spread

STREAMS = 1_000


@dataclass(frozen=True, slots=True)
class FanOutSizes:
    """Rounds, and events of a turn: in batches, and one in each message."""

    rounds: int = 3
    events: int = 2_000
    single_events: int = 40


@dataclass(frozen=True, slots=True)
class Turn:
    """Events that were delivered to everybody, from the first one's posting to the last arrival."""

    events: int
    seconds: float
    messages: float
    server_busy: float
    reader_busy: float

    @property
    def rate(self) -> float:
        """Deliveries per second to all streams together."""
        return STREAMS * self.events / self.seconds

    @property
    def per_message(self) -> float:
        """Events in a message, on average."""
        return STREAMS * self.events / self.messages


@dataclass(frozen=True, slots=True)
class FanOut:
    """The turns by who took them, in the order of the rounds."""

    gateway: list[Turn]
    gateway_single: list[Turn]
    bare: list[Turn]

    def ratio(self, of: list[Turn]) -> Spread:
        """Return how many times as much as another the gateway delivers, within rounds."""
        pairs = zip(self.gateway, of, strict=True)
        return Spread.of([mine.rate / theirs.rate for mine, theirs in pairs])


def measure_fan_out(stage: Stage, sizes: FanOutSizes) -> FanOut:
    """Let the gateway, the gateway with one event a message and a bare server take turns."""
    gateway = stage.gateway(stage.log("fan-out"))
    bare_port = free_port()
    bare = Remote(
        stage.processes.start_module("bench.feed.bare_server", str(bare_port), measured=True)
    )
    wait_for_port(bare.process, bare_port)
    found = FanOut([], [], [])
    take = stage.turns.take
    for number in range(sizes.rounds):
        turns: list[Callable[[], None]] = [
            lambda: found.gateway.append(
                take(partial(_gateway_turn, stage, gateway, sizes.events, 0))
            ),
            lambda: found.gateway_single.append(
                take(partial(_gateway_turn, stage, gateway, sizes.single_events, 1))
            ),
            lambda: found.bare.append(
                take(partial(_bare_turn, stage, bare, bare_port, sizes.single_events))
            ),
        ]
        # To and fro: what changes steadily over the run favours nobody.
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()
    gateway.process.kill()
    return found


def _gateway_turn(stage: Stage, gateway: GatewayProcess, events: int, max_batch: int) -> Turn:
    first = stage.prepare(events)
    stage.open("fan-out", gateway.grpc_port, STREAMS, max_batch=max_batch)
    stage.witness.ask("open", port=gateway.grpc_port, conferences=webhooks.CONFERENCES)
    meter = Meter(stage, gateway.process)
    posted = stage.post_prepared(gateway, first)
    turn = meter.turn(stage, events, posted.started)
    stage.witness.ask("finish", first=first, count=events, timeout_s=FINISH_S_MAX)
    _check(stage, first, events)
    stage.close("fan-out", gateway)
    return turn


def _bare_turn(stage: Stage, bare: Remote, port: int, events: int) -> Turn:
    bare.ask("load", count=events)
    stage.open("fan-out", port, STREAMS)
    meter = Meter(stage, bare.process)
    turn = meter.turn(stage, events, bare.ask("go"))
    _check(stage, 0, events)
    stage.reader.ask("close", group="fan-out")
    return turn


def _check(stage: Stage, first: int, events: int) -> None:
    stage.reader.ask(
        "check_complete",
        group="fan-out",
        first=first,
        count=events,
        conferences=webhooks.CONFERENCES,
    )


class Meter:
    """Processor time of a server and of the reader, from its making on."""

    def __init__(self, stage: Stage, server: Process) -> None:
        self._server, self._reader = server, stage.reader.process
        self._before = self._now()

    def _now(self) -> tuple[float, float]:
        return self._server.cpu_s() or 0.0, self._reader.cpu_s() or 0.0

    def busy(self, seconds: float) -> tuple[float, float]:
        """Return how many cores each kept busy."""
        now = self._now()
        return (now[0] - self._before[0]) / seconds, (now[1] - self._before[1]) / seconds

    def turn(self, stage: Stage, events: int, started: float) -> Turn:
        """Wait until everybody has everything and sum it up."""
        done = stage.finish("fan-out", events)
        seconds = done["at"] - started
        # Each stream's first message has no events.
        return Turn(events, seconds, done["messages"] - STREAMS, *self.busy(seconds))
