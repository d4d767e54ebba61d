"""Replicas: the subscribers of one gateway, and the same split over two with one stream."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bench.contestants.contestant import CheckError
from bench.contestants.gateway import GatewayProcess
from bench.feed import webhooks
from bench.feed.fan_out import STREAMS
from bench.feed.jetstream.servers import gateway_on, nats_servers
from bench.feed.stage import Stage, feed_info
from bench.processes import READY_S
from bench.rounds import Spread


@dataclass(frozen=True, slots=True)
class SplitTurn:
    """Deliveries per second, and how many cores the gateways and the clients kept busy."""

    rate: float
    gateways_busy: float
    reader_busy: float


@dataclass(frozen=True, slots=True)
class Split:
    """The turns by how many gateways there were, in the order of the rounds."""

    turns: Mapping[int, list[SplitTurn]]

    @property
    def ratio(self) -> Spread:
        """Return the rate of two as a multiple of one's, within rounds."""
        pairs = zip(self.turns[2], self.turns[1], strict=True)
        return Spread.of([two.rate / one.rate for two, one in pairs])


def measure_replicas(stage: Stage, rounds: int, events: int) -> Split:
    """Post everything to the first of two gateways, with subscribers at it alone or at both."""
    turns: dict[int, list[SplitTurn]] = {1: [], 2: []}
    with nats_servers(stage, 1) as cluster:
        gateways = [gateway_on(stage, cluster, "SPLIT", name) for name in "ab"]
        for number in range(rounds):
            for count in (1, 2) if number % 2 == 0 else (2, 1):
                turn = partial(_turn, stage, gateways, count, events)
                turns[count].append(stage.turns.take(turn))
        for gateway in gateways:
            gateway.process.kill()
    return Split(turns)


def _turn(stage: Stage, gateways: Sequence[GatewayProcess], count: int, events: int) -> SplitTurn:
    first = stage.prepare(events)
    _wait_until_even(gateways)
    groups = {f"split-{number}": it for number, it in enumerate(gateways[:count])}
    for name, gateway in groups.items():
        stage.open(name, gateway.grpc_port, STREAMS // count)
    processes = [it.process for it in gateways]
    before = [it.cpu_s() or 0.0 for it in (*processes, stage.reader.process)]
    posted = stage.post_prepared(gateways[0], first)
    seconds = max(stage.finish(name, events)["at"] for name in groups) - posted.started
    used = [
        (it.cpu_s() or 0.0) - was
        for it, was in zip((*processes, stage.reader.process), before, strict=True)
    ]
    for name, gateway in groups.items():
        stage.reader.ask(
            "check_complete",
            group=name,
            first=first,
            count=events,
            conferences=webhooks.CONFERENCES,
        )
        stage.close(name, gateway)
    return SplitTurn(STREAMS * events / seconds, sum(used[:-1]) / seconds, used[-1] / seconds)


def _wait_until_even(gateways: Sequence[GatewayProcess]) -> None:
    """Return when all have the same events: streams that begin then begin alike."""
    give_up = time.monotonic() + READY_S
    while len({feed_info(it).event_count for it in gateways}) > 1:
        if time.monotonic() > give_up:
            raise CheckError("one gateway does not get what the other has stored")
        time.sleep(0.02)
