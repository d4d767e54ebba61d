"""The author of schedules: everything is drawn from a seed, the size of the stage too."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.faults import (
    Cut,
    CutRoutes,
    Delay,
    DelayRoutes,
    Fault,
    FillIndex,
    FillServer,
    HoldGateway,
    HoldLeader,
    HoldServer,
    KillGateway,
    KillLeader,
    KillServer,
    PartServer,
    RollGateways,
    RollServers,
    StepClock,
    StepDown,
    Swallow,
    Together,
)

# Between faults, and how long one holds, in seconds: some are over before anybody is sure that
# they are there (a connection counts as dead after some four), and some are not.
_PAUSES_S = (0.2, 0.5, 1.0, 2.0)
_HOLDS_S = (0.3, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Step:
    """After a pause a fault, which holds for some seconds."""

    pause_s: float
    fault: Fault
    holds_s: float


@dataclass(frozen=True, slots=True)
class Schedule:
    seed: int
    servers: int
    gateways: int
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        steps = "".join(f"\n  {it}" for it in self.steps)
        return (
            f"seed {self.seed}, {self.servers} NATS servers, {self.gateways} gateways:{steps}\n"
            f"again: python -m tests.chaos --seed {self.seed} --steps {len(self.steps)} --minutes 0"
        )


def schedule(seed: int, steps: int = 6) -> Schedule:
    """Return the schedule of a seed. Even seeds have one server, odd ones have three."""
    drawn = random.Random(f"chaos {seed}")
    servers = 3 if seed % 2 else 1
    made = (
        Step(drawn.choice(_PAUSES_S), _fault(drawn, servers), drawn.choice(_HOLDS_S))
        for _ in range(steps)
    )
    return Schedule(seed, servers, drawn.choice((2, 3)), tuple(made))


def _fault(drawn: random.Random, servers: int) -> Fault:
    if drawn.random() < 0.3:
        # Of the server first: the others may keep anybody from being asked who leads.
        return Together((_of_servers(drawn, servers), _of_gateways(drawn)))
    return _of_gateways(drawn) if drawn.random() < 0.5 else _of_servers(drawn, servers)


def _of_gateways(drawn: random.Random) -> Fault:
    gateway = drawn.randrange(3)
    makes: tuple[Callable[[], Fault], ...] = (
        lambda: KillGateway(gateway),
        lambda: KillGateway(gateway),
        lambda: HoldGateway(gateway),
        lambda: Cut(gateway),
        lambda: Swallow(gateway),
        lambda: Delay(gateway, drawn.choice((0.02, 0.3))),
        lambda: FillIndex(gateway),
        lambda: StepClock(gateway, drawn.choice((3_600.0, -3_600.0))),
        RollGateways,
    )
    return drawn.choice(makes)()


def _of_servers(drawn: random.Random, servers: int) -> Fault:
    server = drawn.randrange(servers)
    makes: tuple[Callable[[], Fault], ...] = (
        lambda: KillServer(server),
        lambda: HoldServer(server),
        lambda: FillServer(server),
        RollServers,
    )
    if servers > 1:
        makes = (
            *makes,
            KillLeader,
            KillLeader,
            HoldLeader,
            StepDown,
            lambda: PartServer(server),
            lambda: CutRoutes(server),
            lambda: DelayRoutes(server, drawn.choice((0.02, 0.3))),
            # Nobody has a majority then.
            lambda: Together((KillServer(server), KillServer(server + 1))),
        )
    return drawn.choice(makes)()
