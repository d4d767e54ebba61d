"""Rounds: at once for a few, in turn for many, a few at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.feed.rounds import AT_A_TIME, PAUSE_MAX_S, PAUSE_PER_STREAM_S, Rounds


@dataclass
class ManualLoop:
    """A loop's clock and callbacks, moved by hand."""

    now: float = 1_000.0
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    soon: list[Callable[[], None]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> Any:
        self.soon.append(callback)
        return object()

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        self.timers.append((when, callback))
        return object()

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        due = [it for it in self.timers if it[0] <= self.now]
        self.timers = [it for it in self.timers if it[0] > self.now]
        for _, callback in due:
            callback()
        while self.soon:
            self.turn()


class Subscriber:
    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


class Stage:
    def __init__(self, streams: int) -> None:
        self.loop = ManualLoop()
        self.subscribers = [Subscriber() for _ in range(streams)]
        self.begun = 0
        self.rounds = Rounds(self._concerned, lambda: self.loop)

    def _concerned(self) -> list[Subscriber]:
        self.begun += 1
        return self.subscribers

    @property
    def woken(self) -> int:
        return sum(it.woken for it in self.subscribers)


def test_one_subscriber_hears_of_each_commit_at_once() -> None:
    stage = Stage(1)

    for commits in range(1, 11):
        stage.rounds.ask()
        assert stage.woken == commits
        stage.loop.advance(0.001)


def test_many_are_woken_a_few_at_a_time() -> None:
    stage = Stage(3 * AT_A_TIME - 1)

    stage.rounds.ask()

    turns = [stage.woken]
    while stage.loop.soon:
        stage.loop.turn()
        turns.append(stage.woken)
    assert turns == [AT_A_TIME, 2 * AT_A_TIME, 3 * AT_A_TIME - 1]
    assert {it.woken for it in stage.subscribers} == {1}


def test_what_comes_in_a_pause_waits_for_its_end_together() -> None:
    stage = Stage(100)
    pause = 100 * PAUSE_PER_STREAM_S

    stage.rounds.ask()
    for _ in range(5):
        stage.loop.advance(pause / 10)
        stage.rounds.ask()
    assert stage.begun == 1
    stage.loop.advance(pause * 0.51)
    assert stage.begun == 2
    assert stage.woken == 200

    stage.loop.advance(pause * 10)
    assert stage.begun == 2  # nothing was asked for


def test_what_comes_while_others_are_woken_is_not_forgotten() -> None:
    stage = Stage(AT_A_TIME + 1)
    stage.rounds.ask()
    stage.rounds.ask()

    stage.loop.turn()
    stage.loop.advance(PAUSE_MAX_S)

    assert {it.woken for it in stage.subscribers} == {2}


@pytest.mark.slow
def test_no_pause_is_longer_than_a_person_notices() -> None:
    stage = Stage(100_000)

    stage.rounds.ask()
    stage.loop.advance(0)
    stage.rounds.ask()
    stage.loop.advance(PAUSE_MAX_S)

    assert stage.begun == 2


def test_whom_nobody_waits_for_costs_no_pause() -> None:
    stage = Stage(0)

    stage.rounds.ask()
    stage.rounds.ask()

    assert stage.begun == 2
