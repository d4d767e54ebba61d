"""Rounds: at once for a few, in turn for many."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.events.rounds import PAUSE_MAX_S, PAUSE_PER_STREAM_S, Rounds


@dataclass
class ManualLoop:
    """A loop's clock and timers, moved by hand."""

    now: float = 1_000.0
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        self.timers.append((when, callback))
        return object()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [it for it in self.timers if it[0] <= self.now]
        self.timers = [it for it in self.timers if it[0] > self.now]
        for _, callback in due:
            callback()


class Stage:
    def __init__(self, streams: int) -> None:
        self.loop = ManualLoop()
        self.streams = streams
        self.ran_at: list[float] = []
        self.rounds = Rounds(self._run, lambda: self.loop)

    def _run(self) -> int:
        self.ran_at.append(self.loop.now)
        return self.streams


def test_the_first_is_run_at_once() -> None:
    stage = Stage(1_000_000)

    stage.rounds.ask()

    assert len(stage.ran_at) == 1


def test_one_subscriber_hears_of_each_commit() -> None:
    stage = Stage(1)

    for _ in range(10):
        stage.rounds.ask()
        stage.loop.advance(0.001)

    assert len(stage.ran_at) == 10


def test_what_comes_in_a_pause_waits_for_its_end_together() -> None:
    stage = Stage(100)
    pause = 100 * PAUSE_PER_STREAM_S

    stage.rounds.ask()
    for _ in range(5):
        stage.loop.advance(pause / 10)
        stage.rounds.ask()
    assert len(stage.ran_at) == 1
    stage.loop.advance(pause * 0.51)
    assert len(stage.ran_at) == 2

    stage.loop.advance(pause * 10)
    assert len(stage.ran_at) == 2  # nothing was asked for


def test_no_pause_is_longer_than_a_person_notices() -> None:
    stage = Stage(100_000)

    stage.rounds.ask()
    stage.rounds.ask()
    stage.loop.advance(PAUSE_MAX_S)

    assert len(stage.ran_at) == 2


def test_whom_nobody_woke_costs_no_pause() -> None:
    stage = Stage(0)

    stage.rounds.ask()
    stage.rounds.ask()

    assert len(stage.ran_at) == 2
