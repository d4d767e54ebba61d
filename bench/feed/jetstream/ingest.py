"""Ingest into a stream of one server and of three, beside a file and beside appends alone."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bench.contestants.contestant import CheckError
from bench.contestants.gateway import GatewayProcess
from bench.feed.ingest import IngestTurn
from bench.feed.jetstream.servers import gateway_on, nats_servers
from bench.feed.remote import Remote
from bench.feed.stage import POST_CONNECTIONS, Stage, feed_info
from bench.rounds import Spread

SQLITE, ONE, THREE = "sqlite", "one", "three"
APPENDS, FLOOR, SINGLES = "appends", "floor", "singles"

# Events of the first load of each: it tells the speed.
_WARM_UP = 500


class _Side(Protocol):
    """Somebody who stores events, and can be asked to store some more."""

    def turn(self, count: int) -> IngestTurn:
        """Have so many stored."""


@dataclass(frozen=True, slots=True)
class NatsIngest:
    """The turns by who took them, in the order of the rounds."""

    turns: Mapping[str, list[IngestTurn]]

    def rate(self, name: str) -> Spread:
        """Return the events per second of one of them."""
        return Spread.of([it.rate for it in self.turns[name]])

    def ratio(self, name: str, of: str) -> Spread:
        """Return the rate of one as a share of another's, within rounds."""
        pairs = zip(self.turns[name], self.turns[of], strict=True)
        return Spread.of([mine.rate / theirs.rate for mine, theirs in pairs])


class _Gateway:
    def __init__(self, stage: Stage, gateway: GatewayProcess) -> None:
        self._stage, self.gateway = stage, gateway
        self._posted = 0

    def turn(self, count: int) -> IngestTurn:
        self._posted += count
        process = self.gateway.process
        self._stage.prepare(count)
        before = process.cpu_s() or 0.0
        done = self._stage.poster.ask(
            "flood", port=self.gateway.http_port, connections=POST_CONNECTIONS
        )
        busy = ((process.cpu_s() or 0.0) - before) / done["seconds"]
        return IngestTurn(count / done["seconds"], busy)

    def check(self) -> None:
        """Raise CheckError unless all that was accepted is in the log."""
        if feed_info(self.gateway).event_count != self._posted:
            raise CheckError(f"not all of {self._posted} webhooks accepted are in the log")


class _Appending:
    """A helper that appends events of its own, without webhooks."""

    def __init__(self, remote: Remote, order: str = "append") -> None:
        self.remote = remote
        self._order = order

    def turn(self, count: int) -> IngestTurn:
        before = self.remote.process.cpu_s() or 0.0
        seconds = self.remote.ask(self._order, count=count, together=POST_CONNECTIONS)["seconds"]
        busy = ((self.remote.process.cpu_s() or 0.0) - before) / seconds
        return IngestTurn(count / seconds, busy)


def measure_nats_ingest(stage: Stage, rounds: int, turn_s: float) -> NatsIngest:
    """Let all six take turns of about so many seconds."""
    with ExitStack() as stack:
        one = stack.enter_context(nats_servers(stage, 1))
        three = stack.enter_context(nats_servers(stage, 3))
        gateways = {
            SQLITE: _Gateway(stage, stage.gateway(stage.log("sqlite"))),
            ONE: _Gateway(stage, gateway_on(stage, one, "INGEST")),
            THREE: _Gateway(stage, gateway_on(stage, three, "INGEST3")),
        }

        def helper(module: str, *arguments: str) -> Remote:
            name = f"bench.feed.jetstream.{module}"
            return Remote(
                stage.processes.start_module(name, *one.addresses, *arguments, measured=True)
            )

        appending = {
            APPENDS: _Appending(helper("appends", "APPENDS", str(stage.log("appends")))),
            FLOOR: _Appending(helper("floor", "FLOOR")),
            SINGLES: _Appending(helper("floor", "SINGLES"), "append_singly"),
        }
        sides: dict[str, _Side] = {**gateways, **appending}
        sizes = {it: round(side.turn(_WARM_UP).rate * turn_s) for it, side in sides.items()}
        turns: dict[str, list[IngestTurn]] = {it: [] for it in sides}
        for number in range(rounds):
            # To and fro: what changes steadily over the run favours nobody.
            for it in sides if number % 2 == 0 else reversed(sides):
                turns[it].append(stage.turns.take(partial(sides[it].turn, sizes[it])))
        for gateway in gateways.values():
            gateway.check()
            gateway.gateway.process.kill()
        for side in appending.values():
            side.remote.process.kill()
    return NatsIngest(turns)
