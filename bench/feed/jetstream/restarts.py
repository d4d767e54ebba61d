"""Restarts: three gateways are replaced one after the other, while everybody goes on."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from bench.contestants.contestant import CheckError
from bench.contestants.gateway import GatewayProcess
from bench.feed import webhooks
from bench.feed.delay import Subscribers
from bench.feed.jetstream.servers import gateway_on, nats_servers
from bench.feed.remote import Remote
from bench.feed.stage import Stage, feed_info
from bench.processes import READY_S, free_port
from bench.rounds import Spread
from conferencing.v1.event_service_pb2 import INDEX_STATE_CURRENT

GATEWAYS = 3

# How long events come before the first restart, and after each, in seconds.
_LEAD_S = 3.0
_SETTLED_S = 1.0

# A rate is carried if so little of it, in seconds, is not stored, or not read, before a restart.
_BEHIND_S_MAX = 0.5

# For how long webhooks are prepared, in seconds: longer than any run is.
_PREPARED_S = 60

# Commands and queries a second, in all.
_CALLS_PER_S = 30

# How long the slowest subscriber may take until it has everything, in seconds.
_FINISH_S = 60.0


@dataclass(frozen=True, slots=True)
class RestartsTurn:
    """One rolling restart at a rate of events.

    `pauses` are for how long each subscriber got no event at the most, `before` the same before the
    first restart, both in seconds; `ends` and `calls` how often streams and calls ended how.
    """

    rate: float
    pauses: Sequence[float]
    before: Sequence[float]
    moves: int
    posted_again: int
    not_stored_s: float
    ends: Mapping[str, int]
    calls: Mapping[str, int]
    # Whether subscribers waited for no core.
    goes_first: bool


@dataclass(frozen=True, slots=True)
class Restarts:
    """The turns, and the rates that were tried before and not carried; no turns if none was."""

    who: Subscribers
    turns: Sequence[RestartsTurn]
    not_carried: Sequence[float]

    @property
    def gap(self) -> Spread:
        """For how long some subscriber got no event, in seconds: the longest of each turn."""
        return Spread.of([max(it.pauses) for it in self.turns])


class _NotCarried(Exception):
    """The machine cannot carry the rate, before anything is restarted."""


def measure_restarts(
    stage: Stage, rates: Sequence[float], who: Subscribers, rounds: int
) -> Restarts:
    """Restart all gateways in turn, at the highest of some rates that the machine carries."""
    # Each begins with nothing.
    kind = "ONE" if who.filtered else "ALL"
    names = (f"RESTARTS-{kind}{number}" for number in count())
    not_carried: list[float] = []
    turns: list[RestartsTurn] = []
    for rate in rates:
        try:
            while len(turns) < rounds:
                # None is taken again: it takes most of a minute, and the machine is busy in any.
                turns.append(_turn(stage, names, rate, who))
            return Restarts(who, turns, not_carried)
        except _NotCarried:
            not_carried.append(rate)
            turns = []
    return Restarts(who, [], not_carried)


class _Replica:
    """A gateway that is replaced by another at the same place."""

    def __init__(self, start: "partial[GatewayProcess]") -> None:
        self._start = start
        self.ports = free_port(), free_port()
        self.begin()

    def begin(self) -> None:
        self.gateway = self._start(ports=self.ports)
        give_up = time.monotonic() + READY_S
        while feed_info(self.gateway).index.state != INDEX_STATE_CURRENT:
            if time.monotonic() > give_up:
                raise CheckError("a gateway is not up with the stream in time")
            time.sleep(0.02)

    def end(self) -> None:
        """Have it end as an operator would, and wait until it has."""
        process = self.gateway.process
        process.terminate()
        give_up = time.monotonic() + READY_S
        while not process.ended:
            if time.monotonic() > give_up:
                raise CheckError("a gateway does not end")
            time.sleep(0.01)


def _turn(stage: Stage, names: Iterator[str], rate: float, who: Subscribers) -> RestartsTurn:
    stream = next(names)
    helpers = {
        name: Remote.start(stage.processes, f"bench.feed.jetstream.{name}")
        for name in ("travelling", "provider", "calling")
    }
    replicas: list[_Replica] = []
    try:
        with nats_servers(stage, GATEWAYS, stream) as cluster:
            for number in range(GATEWAYS):
                start = partial(gateway_on, stage, cluster, stream, f"{stream}-{number}")
                replicas.append(_Replica(start))
            return _restarted(replicas, helpers, rate, who)
    finally:
        for replica in replicas:
            replica.gateway.process.kill()
        for helper in helpers.values():
            helper.process.kill()


def _restarted(
    replicas: Sequence[_Replica], helpers: Mapping[str, Remote], rate: float, who: Subscribers
) -> RestartsTurn:
    travelling, provider, calling = helpers.values()
    grpc_ports, http_ports = zip(*(it.ports for it in replicas), strict=True)
    provider.ask("prepare", count=round(rate * _PREPARED_S), conferences=webhooks.CONFERENCES)
    goes_first = travelling.ask("go_first")
    travelling.ask(
        "open",
        ports=grpc_ports,
        subscribers=who.streams,
        conferences=webhooks.CONFERENCES,
        filtered=who.filtered,
    )
    provider.ask("start", ports=http_ports, rate=rate)
    calling.ask("start", ports=grpc_ports, rate=_CALLS_PER_S)
    began = time.monotonic()
    time.sleep(_LEAD_S)
    status = provider.ask("status")
    if (
        max(status["unanswered"], status["posted"] - travelling.ask("newest"))
        > rate * _BEHIND_S_MAX
    ):
        raise _NotCarried
    restarting = time.monotonic()
    for replica in replicas:
        replica.end()
        replica.begin()
        time.sleep(_SETTLED_S)
    ended = time.monotonic()
    calls = calling.ask("stop")
    posted = provider.ask("stop")
    ends = travelling.ask("finish", first=0, count=posted["posted"], timeout_s=_FINISH_S)
    pauses = travelling.ask("pauses", since=restarting, until=ended)
    before = travelling.ask("pauses", since=began + 1.0, until=restarting)
    moves = sum(travelling.ask("moves"))
    travelling.ask("leave")
    return RestartsTurn(
        rate, pauses, before, moves, posted["again"], posted["longest_s"], ends, calls, goes_first
    )
