"""The feed part: every measurement in its turn, each with results of its own."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from bench.contestants.gateway import COMMAND
from bench.feed import report
from bench.feed.catch_up import measure_catch_up
from bench.feed.delay import Subscribers, measure_delays
from bench.feed.fan_out import FanOutSizes, measure_fan_out
from bench.feed.finding import Finding
from bench.feed.idle import measure_idle
from bench.feed.ingest import measure_ingest
from bench.feed.jetstream import report as nats_report
from bench.feed.jetstream.delay import measure_nats_delay
from bench.feed.jetstream.filling import measure_filling
from bench.feed.jetstream.ingest import measure_nats_ingest
from bench.feed.jetstream.replicas import measure_replicas
from bench.feed.jetstream.restarts import measure_restarts
from bench.feed.proof import prove_checks
from bench.feed.rare_filter import measure_rare_filter
from bench.feed.resume import measure_resume
from bench.feed.signature_speed import signature_check_us
from bench.feed.slow_readers import measure_slow_readers
from bench.feed.stage import Stage
from bench.processes import NO_CORES, Cores, Processes
from bench.results import Section

PART = "feed"

HEADLINE = Subscribers(100)

_FAN_OUT = FanOutSizes()


@dataclass(frozen=True, slots=True)
class FeedPlan:
    """How much to measure. The default takes about three minutes."""

    fan_out: FanOutSizes = _FAN_OUT
    # Rounds by who listens; the headline's is measured more often.
    delay_rounds: Sequence[tuple[Subscribers, int]] = (
        (Subscribers(1), 1),
        (HEADLINE, 7),
        (Subscribers(1_000), 1),
        (Subscribers(5_000, filtered=True), 1),
    )
    delay_s: float = 2.0
    ingest_rounds: int = 5
    ingest_turn_s: float = 1.0
    slow_rounds: int = 6
    slow_turn_s: float = 1.5
    catch_up_events: int = 200_000
    catch_up_rounds: int = 2
    rare_rounds: int = 20
    rare_turn_s: float = 1.5
    resume_backlog: int = 1_000
    resume_rounds: int = 1
    nats_ingest_rounds: int = 5
    nats_ingest_turn_s: float = 1.0
    nats_delay_rounds: int = 5
    replicas_rounds: int = 3
    replicas_events: int = 2_000
    filling_events: int = 200_000
    filling_rounds: int = 3
    # Events a second, the highest first, of which the first that the machine carries is taken.
    restarts_rates: Sequence[tuple[Subscribers, Sequence[float]]] = (
        (Subscribers(300, filtered=True), (1_000, 700, 500, 300)),
        (Subscribers(300), (1_000, 500, 200, 100)),
    )
    restarts_rounds: int = 3
    cores: Cores = NO_CORES
    # How the gateway is started.
    gateway: Sequence[str] = COMMAND


def run_feed(plan: FeedPlan, only: str | None = None) -> Iterator[Section]:
    """Measure everything, or only what has a name, and yield each result when it is there.

    Raises ProcessFailedError, CheckError, LoadError or ImpossibleFigureError if anything does not
    do what it should.
    """
    # The gateway's threads may run beside each other, as where it is used; what measures it shares
    # one core with half of them.
    cores = Cores(plan.cores.measured | plan.cores.rest, plan.cores.rest)
    faults = 0
    for name, measure in MEASUREMENTS.items():
        if only not in (None, name):
            continue
        print(f"bench: feed, {name}", file=sys.stderr)
        before_us = signature_check_us()
        # Helpers of their own for each: nothing is left over from the one before.
        with Processes(cores) as processes:
            stage = Stage(processes, plan.gateway)
            if not faults:
                faults = prove_checks(stage)
                yield Section(PART, {}, report.preface(faults, plan.cores))
            found = measure(stage, plan)
        checks_us = (before_us, signature_check_us())
        table = report.measurement(found, date.today(), stage.turns, checks_us)
        yield Section(f"{PART}, {name}", found.numbers, table)


def _fan_out(stage: Stage, plan: FeedPlan) -> Finding:
    return report.fan_out(measure_fan_out(stage, plan.fan_out))


def _delay(stage: Stage, plan: FeedPlan) -> Finding:
    return report.delays(measure_delays(stage, dict(plan.delay_rounds), plan.delay_s), HEADLINE)


def _ingest(stage: Stage, plan: FeedPlan) -> Finding:
    return report.ingest(measure_ingest(stage, plan.ingest_rounds, plan.ingest_turn_s))


def _idle(stage: Stage, _plan: FeedPlan) -> Finding:
    return report.idle(measure_idle(stage))


def _slow_readers(stage: Stage, plan: FeedPlan) -> Finding:
    return report.slow_readers(measure_slow_readers(stage, plan.slow_rounds, plan.slow_turn_s))


def _catch_up(stage: Stage, plan: FeedPlan) -> Finding:
    return report.catch_up(measure_catch_up(stage, plan.catch_up_events, plan.catch_up_rounds))


def _rare_filter(stage: Stage, plan: FeedPlan) -> Finding:
    return report.rare_filter(measure_rare_filter(stage, plan.rare_rounds, plan.rare_turn_s))


def _resume(stage: Stage, plan: FeedPlan) -> Finding:
    return report.resume(measure_resume(stage, plan.resume_backlog, plan.resume_rounds))


def _nats_ingest(stage: Stage, plan: FeedPlan) -> Finding:
    found = measure_nats_ingest(stage, plan.nats_ingest_rounds, plan.nats_ingest_turn_s)
    return nats_report.nats_ingest(found)


def _nats_delay(stage: Stage, plan: FeedPlan) -> Finding:
    found = measure_nats_delay(stage, HEADLINE, plan.nats_delay_rounds, plan.delay_s)
    return nats_report.nats_delay(found, HEADLINE)


def _replicas(stage: Stage, plan: FeedPlan) -> Finding:
    found = measure_replicas(stage, plan.replicas_rounds, plan.replicas_events)
    return nats_report.replicas(found)


def _filling(stage: Stage, plan: FeedPlan) -> Finding:
    found = measure_filling(stage, plan.filling_events, plan.filling_rounds)
    return nats_report.filling(found, plan.filling_events)


def _restarts(stage: Stage, plan: FeedPlan) -> Finding:
    return nats_report.restarts(
        [
            measure_restarts(stage, rates, who, plan.restarts_rounds)
            for who, rates in plan.restarts_rates
        ]
    )


# By the name that `--only` takes.
MEASUREMENTS: Mapping[str, Callable[[Stage, FeedPlan], Finding]] = {
    "fan-out": _fan_out,
    "delay": _delay,
    "ingest": _ingest,
    "idle": _idle,
    "slow-readers": _slow_readers,
    "catch-up": _catch_up,
    "rare-filter": _rare_filter,
    "resume": _resume,
    "nats-ingest": _nats_ingest,
    "nats-delay": _nats_delay,
    "nats-replicas": _replicas,
    "nats-catch-up": _filling,
    "nats-restarts": _restarts,
}
