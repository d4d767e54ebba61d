"""Delay with the log in a stream, beside that with the log in a file."""

from functools import partial

from bench.feed.delay import Delays, DelayTurn, Subscribers, delay_turn
from bench.feed.jetstream.servers import gateway_on, nats_servers
from bench.feed.stage import Stage


def measure_nats_delay(
    stage: Stage, who: Subscribers, rounds: int, seconds: float
) -> dict[str, Delays]:
    """Let both take turns; returns them by what the log is called."""
    with nats_servers(stage, 1) as cluster:
        gateways = {
            "sqlite": stage.gateway(stage.log("delay")),
            "jetstream": gateway_on(stage, cluster, "DELAY"),
        }
        turns: dict[str, list[DelayTurn]] = {it: [] for it in gateways}
        for number in range(rounds):
            for it in gateways if number % 2 == 0 else reversed(gateways):
                take = partial(delay_turn, stage, gateways[it], who, seconds)
                turns[it].append(stage.turns.take(take))
        for gateway in gateways.values():
            gateway.process.kill()
    return {it: Delays({who: found}) for it, found in turns.items()}
