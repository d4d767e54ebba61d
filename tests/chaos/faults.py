"""Faults, as values that can be put together: each holds for as long as its context does.

What is down or held already is left to the fault that did it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from tests.chaos.replica import Replica
from tests.chaos.stage import Stage
from tests.harness.link import Link
from tests.harness.nats import NatsServer

# How long a gateway is waited for before the next one is replaced, in seconds: without a broker
# none comes up.
_ROLL_WAITS_S = 5.0


class Fault(Protocol):
    """Something that breaks. Numbers of gateways and servers are taken modulo their count."""

    def on(self, stage: Stage) -> AbstractContextManager[None]:
        """Have it for as long as the context."""


@dataclass(frozen=True, slots=True)
class KillGateway:
    """A gateway ends without a chance to do anything, and comes back afterwards."""

    gateway: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        replica = _gateway(stage, self.gateway)
        killed = replica.kill()
        yield
        if killed:
            replica.revive()


@dataclass(frozen=True, slots=True)
class HoldGateway:
    """A gateway does nothing, with all its connections open."""

    gateway: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        replica = _gateway(stage, self.gateway)
        replica.hold()
        yield
        replica.go_on()


@dataclass(frozen=True, slots=True)
class RollGateways:
    """One gateway after the other is stopped in order, and started again."""

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        for replica in stage.replicas:
            if replica.stop():
                replica.wait_until_down()
                replica.revive()
                replica.serves_within(_ROLL_WAITS_S)
        yield


@dataclass(frozen=True, slots=True)
class KillServer:
    """A server ends without a chance to write anything."""

    server: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _killed(_server(stage, self.server)):
            yield


@dataclass(frozen=True, slots=True)
class KillLeader:
    """The same happens to the one that leads the stream at that moment."""

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _killed(stage.leader()):
            yield


@dataclass(frozen=True, slots=True)
class HoldServer:
    """A server does nothing, with all its connections open."""

    server: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _held(_server(stage, self.server)):
            yield


@dataclass(frozen=True, slots=True)
class HoldLeader:
    """The same happens to the one that leads the stream at that moment."""

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _held(stage.leader()):
            yield


@dataclass(frozen=True, slots=True)
class StepDown:
    """The leader of the stream gives up its place, where there is another to take it."""

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        if stage.cluster.replicas > 1:
            stage.step_down()
        yield


@dataclass(frozen=True, slots=True)
class RollServers:
    """One server after the other is stopped in order, and started again."""

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        for server in stage.cluster.servers:
            if server.runs:
                server.stop()
                server.restart()
        yield


@dataclass(frozen=True, slots=True)
class Cut:
    """The ways of a gateway to all servers are cut off."""

    gateway: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _mended(_links(stage, self.gateway)) as links:
            for link in links:
                link.cut()
            yield


@dataclass(frozen=True, slots=True)
class Swallow:
    """What goes between a gateway and the servers is swallowed: they are parted by the network."""

    gateway: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _mended(_links(stage, self.gateway)) as links:
            for link in links:
                link.swallow()
            yield


@dataclass(frozen=True, slots=True)
class Delay:
    """What goes between a gateway and the servers takes longer."""

    gateway: int
    seconds: float

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _mended(_links(stage, self.gateway)) as links:
            for link in links:
                link.delay(self.seconds)
            yield


@dataclass(frozen=True, slots=True)
class PartServer:
    """A server and the others do not hear each other, and nobody says so; clients reach all."""

    server: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _mended(_routes(stage, self.server)) as links:
            for link in links:
                link.swallow()
            yield


@dataclass(frozen=True, slots=True)
class CutRoutes:
    """The connections between a server and the others are cut off."""

    server: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _mended(_routes(stage, self.server)) as links:
            for link in links:
                link.cut()
            yield


@dataclass(frozen=True, slots=True)
class DelayRoutes:
    """What goes between a server and the others takes longer."""

    server: int
    seconds: float

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _mended(_routes(stage, self.server)) as links:
            for link in links:
                link.delay(self.seconds)
            yield


@dataclass(frozen=True, slots=True)
class FillServer:
    """The disk of a server is full. An operator makes room, and starts it again.

    Where no disks can be made nothing happens.
    """

    server: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        server = _server(stage, self.server)
        if not stage.disks or not server.runs:
            yield
            return
        disk = stage.disks[self.server % len(stage.disks)]
        disk.fill()
        yield
        disk.free()
        # A server that has met a full disk does without JetStream from then on.
        if server.runs:
            server.stop()
            server.restart()


@dataclass(frozen=True, slots=True)
class FillIndex:
    """The disk is full that a gateway has its index on."""

    gateway: int

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with _gateway(stage, self.gateway).index_is_full():
            yield


@dataclass(frozen=True, slots=True)
class StepClock:
    """The clock of a gateway's machine jumps, and is put right afterwards."""

    gateway: int
    ahead_s: float

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        replica = _gateway(stage, self.gateway)
        replica.step_clock(self.ahead_s)
        yield
        replica.step_clock(0.0)


@dataclass(frozen=True, slots=True)
class Together:
    """Faults at one time."""

    faults: tuple[Fault, ...]

    @contextmanager
    def on(self, stage: Stage) -> Iterator[None]:
        with ExitStack() as stack:
            for fault in self.faults:
                stack.enter_context(fault.on(stage))
            yield


def _gateway(stage: Stage, number: int) -> Replica:
    return stage.replicas[number % len(stage.replicas)]


def _server(stage: Stage, number: int) -> NatsServer:
    return stage.cluster.servers[number % len(stage.cluster.servers)]


def _links(stage: Stage, number: int) -> list[Link]:
    return list(stage.links[number % len(stage.links)])


def _routes(stage: Stage, number: int) -> list[Link]:
    """Return the ways from and to a server; one that is alone has none."""
    server = number % len(stage.cluster.servers)
    return [link for ends, link in stage.routes.items() if server in ends]


@contextmanager
def _killed(server: NatsServer) -> Iterator[None]:
    if not server.runs:
        yield
        return
    server.kill()
    yield
    server.restart()


@contextmanager
def _held(server: NatsServer) -> Iterator[None]:
    if not server.runs:
        yield
        return
    server.hold()
    yield
    # It may have been killed meanwhile.
    if server.runs:
        server.go_on()


@contextmanager
def _mended(links: list[Link]) -> Iterator[list[Link]]:
    yield links
    for link in links:
        link.mend()
