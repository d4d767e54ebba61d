"""An episode: one schedule, with senders and travellers, and the verdict over all that was seen."""

import random
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.author import Schedule
from tests.chaos.senders import Senders
from tests.chaos.stage import Stage, set_up
from tests.chaos.travellers import RETRYABLE, Travellers, longest
from tests.harness.loop import LoopThread
from tests.harness.nats import until
from tests.harness.webhooks import Poster, Signer
from tests.oracle.verdict import violations

# How long everything may take to have come, once nothing is broken any more, in seconds.
_COMES_WITHIN_S = 30.0

# How long nothing must come for it to count as nothing, in seconds.
_QUIET_S = 0.3

# How long a gateway may take to respond to a webhook before it is given to another, in seconds.
_POST_S = 3.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """How much goes on: webhooks a second, and subscribers."""

    rate: float = 60.0
    subscribers: int = 40


SHORT = Traffic()
LONG = Traffic(rate=100.0, subscribers=200)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What went on, and what was wrong of it; nothing should be."""

    schedule: Schedule
    wrong: tuple[str, ...]
    sent: int
    stored: int
    given_up: int
    delivered: int
    streams: int
    ends: Counter[str]
    # The longest time without an event for one who follows all.
    feed_pause_s: float
    # When webhooks got their 2xx, on the monotonic clock.
    acknowledged_at: tuple[float, ...]

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {how}" for how, count in sorted(self.ends.items()))
        return (
            f"seed {self.schedule.seed}: {self.sent} webhooks, {self.stored} stored,"
            f" {self.given_up} given up; {self.streams} streams ({ends}), {self.delivered} events"
            f" delivered; at most {self.feed_pause_s:.2f} s without an event, and"
            f" {longest(self.acknowledged_at):.2f} s without a 2xx; {len(self.wrong)} wrong"
        )


def play(loop: LoopThread, schedule: Schedule, traffic: Traffic = SHORT) -> Outcome:
    """Play a schedule from beginning to end."""
    drawn = random.Random(f"traffic {schedule.seed}")
    with (
        tempfile.TemporaryDirectory() as folder,
        set_up(loop, Path(folder), schedule.servers, schedule.gateways) as stage,
    ):
        signer = Signer()
        posters = [Poster(it.http_address, signer, _POST_S) for it in stage.replicas]
        travellers = Travellers(stage, traffic.subscribers, drawn)
        senders = Senders(stage.log, posters, traffic.rate, random.Random(f"{schedule.seed}"))
        try:
            try:
                _break(stage, schedule)
            finally:
                senders.stop()
            wrong = _settled(stage)
            stage.audit()
            era = stage.log.model.era
            travellers.rest(era.newest, _COMES_WITHIN_S)
        finally:
            travellers.gone()
        ends = travellers.ends()
        wrong += [str(it) for it in violations(stage.log.model, travellers.streams)]
        wrong += stage.faults()
        wrong += [
            f"{count} streams ended with {how}, which nobody may try again"
            for how, count in ends.items()
            if how not in RETRYABLE | {"ok", "OUT_OF_RANGE"}
        ]
        return Outcome(
            schedule,
            tuple(wrong),
            senders.sent,
            len(era.stored),
            len(senders.given_up),
            sum(len(it.events) for stream in travellers.streams for it in stream.responses),
            len(travellers.streams),
            ends,
            travellers.longest_pause_s(),
            tuple(senders.acknowledged_at),
        )


def _break(stage: Stage, schedule: Schedule) -> None:
    time = threading.Event()
    for step in schedule.steps:
        time.wait(step.pause_s)
        with step.fault.on(stage):
            time.wait(step.holds_s)


def _settled(stage: Stage) -> list[str]:
    """Wait until nothing comes any more, and all have it; return what keeps them from that.

    What a gateway had been sent while it was held may be late.
    """
    before = -1

    def nothing_came() -> bool:
        nonlocal before
        last, before = before, stage.span()[1]
        threading.Event().wait(_QUIET_S)
        return last == before == stage.span()[1]

    try:
        stage.settle()
        until(nothing_came, "nothing comes any more")
        stage.settle()
    except AssertionError as error:
        return [str(error)]
    return []
