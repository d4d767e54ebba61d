"""Slow readers: what those that stop reading cost those that go on."""

from dataclasses import dataclass
from functools import partial
from statistics import mean

from bench.contestants.contestant import CheckError
from bench.contestants.gateway import GatewayProcess
from bench.feed.delay import GROUP, DelayTurn, SteadyLoad, Subscribers, post_steadily
from bench.feed.stage import Stage
from bench.rounds import Spread

HEALTHY = 90
STALLED = 10

# Events per second: well below what the gateway can do. At its limit a queue builds up, and its
# length would be all that is seen.
RATE = 250

_WARM_UP_S = 0.4

# Events of which each takes more than half a kilobyte: several times a stalled reader's window.
_FILLING = 500

_STALLED_GROUP = "stalled"

# Streams of a stalled connection: there are more than one, as there are more than one program.
_STALLED_CONNECTIONS = 5


@dataclass(frozen=True, slots=True)
class SlowReaders:
    """The healthy readers' turns: alone, beside stalled ones, alone again, and so on."""

    alone: list[DelayTurn]
    beside: list[DelayTurn]
    # Events of a turn.
    events: int

    @property
    def tax(self) -> Spread:
        """The p99 beside stalled readers as a multiple of that without.

        Each is compared with the two turns just before and after it: what the machine does to one
        turn alone counts less.
        """
        return Spread.of(
            [
                slow.lags.p99 / mean((before.lags.p99, after.lags.p99))
                for before, slow, after in zip(
                    self.alone, self.beside, self.alone[1:], strict=False
                )
            ]
        )


def measure_slow_readers(stage: Stage, rounds: int, seconds: float) -> SlowReaders:
    """Let healthy readers take turns alone and beside stalled ones, which come on top."""
    gateway = stage.gateway(stage.log("slow"))
    load = SteadyLoad(RATE, seconds, _WARM_UP_S)
    found = SlowReaders([], [], load.events)
    _alone(stage, gateway, load)  # warms up
    found.alone.append(stage.turns.take(partial(_alone, stage, gateway, load)))
    for _ in range(rounds):
        found.beside.append(stage.turns.take(partial(_beside, stage, gateway, load)))
        found.alone.append(stage.turns.take(partial(_alone, stage, gateway, load)))
    gateway.process.kill()
    return found


def _alone(stage: Stage, gateway: GatewayProcess, load: SteadyLoad) -> DelayTurn:
    # As beside stalled readers: the same work before.
    stage.post(gateway, _FILLING)
    stage.open(GROUP, gateway.grpc_port, HEALTHY)
    turn = post_steadily(stage, gateway, Subscribers(HEALTHY), load)
    stage.close(GROUP, gateway)
    return turn


def _beside(stage: Stage, gateway: GatewayProcess, load: SteadyLoad) -> DelayTurn:
    stage.open(
        _STALLED_GROUP,
        gateway.grpc_port,
        STALLED,
        connections=_STALLED_CONNECTIONS,
        stalled=True,
    )
    # More than the windows of the stalled ones take, before anything is measured.
    filling = stage.post(gateway, _FILLING).count
    stage.open(GROUP, gateway.grpc_port, HEALTHY)
    turn = post_steadily(stage, gateway, Subscribers(HEALTHY), load)
    if stage.reader.ask("status", group=_STALLED_GROUP)["most"]:
        raise CheckError("the stalled readers were not stalled")
    stage.reader.ask("release", group=_STALLED_GROUP)
    # Nobody was cut off and nothing was dropped: they get all of it as soon as they read.
    stage.finish(_STALLED_GROUP, filling + load.events)
    stage.reader.ask("close", group=GROUP)
    stage.close(_STALLED_GROUP, gateway)
    return turn
