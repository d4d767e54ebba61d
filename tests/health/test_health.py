"""What follows from the states of components, and who is told of it when."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.health.component import Component
from gateway.health.health import LOOK_EVERY_S, Health
from gateway.records.components import ComponentChanged
from tests.harness.clock import ManualClock

COMMANDS, FEED = "x.Commands", "x.Feed"


class World:
    """Some components whose problems a test sets, and what was told."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        **problems: str | None,
    ) -> None:
        self.problems: dict[str, str | None] = {
            "phase": None,
            "log": None,
            "provider": None,
            "shown": None,
            **problems,
        }
        self.clock = ManualClock()
        self.told: list[Mapping[str, bool]] = []
        self.changes: list[ComponentChanged] = []
        self.health = Health(
            [
                self._component("phase", COMMANDS, FEED, recorded=False),
                self._component("log"),
                self._component("provider", COMMANDS),
                self._component("shown", needed=False),
            ],
            [COMMANDS, FEED],
            lambda serving: self.told.append(dict(serving)),
            self.changes.append,
            sleep,
            now=self.clock,
        )

    def _component(self, name: str, *services: str, **flags: bool) -> Component:
        return Component(name, lambda: self.problems[name], frozenset(services), **flags)

    def serving(self) -> set[str]:
        return {name for name, serving in self.health.look().services.items() if serving}


def test_each_reason_is_told_and_stops_what_needs_its_component() -> None:
    world = World()
    assert world.serving() == {"", COMMANDS, FEED}
    assert world.health.look().ready

    world.problems |= {"log": "the disk is full", "provider": "it is away"}

    report = world.health.look()
    assert not report.ready
    assert report.reasons == ("the disk is full", "it is away")
    assert world.serving() == {FEED}
    world.problems["phase"] = "shutting down"
    assert world.serving() == set()


def test_what_is_only_shown_takes_nothing_out_of_service() -> None:
    world = World(shown="background work fails")

    report = world.health.look()

    assert report.ready
    assert [(it.name, it.reason) for it in report.states if not it.ok] == [
        ("shown", "background work fails")
    ]
    assert world.serving() == {"", COMMANDS, FEED}


def test_each_change_is_recorded_once_at_its_begin_and_at_its_end_with_how_long() -> None:
    world = World()
    world.health.look()
    world.clock.advance(5)

    world.problems["provider"] = "it is away"
    world.health.look()
    world.clock.advance(30)
    world.problems["provider"] = "it only fails"
    world.health.look()
    world.clock.advance(12)
    (state,) = [it for it in world.health.look().states if not it.ok]
    assert (state.reason, state.since) == ("it only fails", world.clock.now - 42)
    world.problems["provider"] = None
    world.health.look()

    assert world.changes == [
        ComponentChanged("provider", "it is away", 5),
        ComponentChanged("provider", None, 42),
    ]


def test_a_change_that_somebody_else_tells_of_is_not_recorded() -> None:
    world = World()
    world.problems["phase"] = "shutting down"

    assert world.serving() == set()
    assert world.changes == []


def test_what_is_wrong_from_the_beginning_is_no_change() -> None:
    world = World(provider="it has not been reached yet")

    world.health.look()
    world.health.look()

    assert world.changes == []
    assert world.told == [{"": False, COMMANDS: False, FEED: True}]


def test_services_are_told_of_when_they_change_and_not_before() -> None:
    world = World()
    for problem in (None, None, "away", "still away", None):
        world.problems["provider"] = problem
        world.health.look()

    assert [it[COMMANDS] for it in world.told] == [True, False, True]


def test_what_nobody_tells_of_is_seen_at_the_next_look() -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            raise asyncio.CancelledError
        world.problems["log"] = "the disk is full"

    world = World(sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(world.health.run())

    assert waited == [LOOK_EVERY_S] * 2
    assert [it[""] for it in world.told] == [True, False]


PROBLEMS = st.sampled_from([None, None, "a", "b"])


@given(st.lists(st.tuples(st.sampled_from(["phase", "log", "provider", "shown"]), PROBLEMS)))
def test_any_story_is_told_as_it_is(story: list[tuple[str, str | None]]) -> None:
    world = World()
    world.health.look()
    for name, problem in story:
        world.problems[name] = problem
        report = world.health.look()
        now = world.problems
        assert world.told[-1] == report.services
        needed = (now["phase"], now["log"], now["provider"])
        assert report.ready == report.services[""] == (needed == (None, None, None))
        assert report.services[FEED] == (now["phase"] is None)
        assert report.services[COMMANDS] == (not (now["phase"] or now["provider"]))
    # Begins and ends of one component take turns.
    for name in world.problems:
        ends = [it.problem is None for it in world.changes if it.component == name]
        assert ends == [number % 2 == 1 for number in range(len(ends))]
