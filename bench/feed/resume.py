"""Coming back: a thousand streams resume after a crash of the gateway."""

import time
from dataclasses import dataclass
from itertools import count

from bench.feed import webhooks
from bench.feed.stage import CONNECTIONS_MAX, Stage
from bench.rounds import Spread

STREAMS = 1_000


@dataclass(frozen=True, slots=True)
class Resume:
    """How long it took until the last stream had everything, in seconds, and what it was."""

    seconds: Spread
    # Events that each stream had missed when it came back: the fewest and the most.
    missed: tuple[int, int]
    deliveries: int


def measure_resume(stage: Stage, backlog: int, rounds: int) -> Resume:
    """Crash and restart a gateway, and let everybody come back after their cursors."""
    found: list[float] = []
    deliveries = 0
    names = (f"resume-{number}" for number in count())
    for _ in range(rounds):
        seconds, deliveries = stage.turns.take(lambda: _round(stage, next(names), backlog))
        found.append(seconds)
    return Resume(Spread.of(found), (backlog, backlog + CONNECTIONS_MAX - 1), deliveries)


def _round(stage: Stage, name: str, backlog: int) -> tuple[float, int]:
    log = stage.log(name)
    gateway = stage.gateway(log)
    stage.open(name, gateway.grpc_port, STREAMS)
    first = None
    # They leave one connection after the other while events go on: cursors differ.
    for so_far in range(1, CONNECTIONS_MAX + 1):
        posted = stage.post(gateway, 1)
        first = posted.first if first is None else first
        stage.finish(name, so_far)
        stage.reader.ask("close", group=name, connections=1)
    stage.post(gateway, backlog)
    gateway.process.kill()
    events = CONNECTIONS_MAX + backlog
    had = stage.reader.ask("status", group=name)["total"]
    again = stage.gateway(log)
    started = time.monotonic()
    stage.reader.ask("resume", group=name, port=again.grpc_port, connections=CONNECTIONS_MAX)
    done = stage.finish(name, events)
    stage.reader.ask(
        "check_complete",
        group=name,
        first=first,
        count=events,
        conferences=webhooks.CONFERENCES,
    )
    stage.close(name, again)
    again.process.kill()
    return done["at"] - started, STREAMS * events - had
