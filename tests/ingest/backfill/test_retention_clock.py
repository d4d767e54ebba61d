"""Retention and clocks: an event of the future keeps nothing, a clock ahead deletes nothing."""

from collections.abc import Callable

import pytest

from tests.harness.events import new_event
from tests.ingest.backfill.bench import DAY_S, START, Bench


def test_an_event_from_the_future_keeps_nothing_that_follows_it(
    make: Callable[..., Bench],
) -> None:
    bench = make(tells_time=True)
    year_us = round(365 * DAY_S * 1e6)
    bench.loop.run(bench.log.journal.append(new_event(received_at_us=bench.us + year_us)))
    bench.received("old-1", "old-2")
    bench.clock.advance(8 * DAY_S)
    bench.received("new")

    bench.prune()

    assert bench.held_ids == ["new"]
    # Nor does it say what may come back.
    deleted_us = bench.loop.run(bench.log.index.measures()).deleted_received_at_us
    assert deleted_us == round(START * 1e6)


@pytest.mark.slow
def test_more_events_from_the_future_than_one_step_looks_at_keep_nothing(
    make: Callable[..., Bench],
) -> None:
    bench = make(tells_time=True)
    ahead_us = bench.us + round(365 * DAY_S * 1e6)

    async def append() -> None:
        for _ in range(1_500):
            await bench.log.journal.append(new_event(received_at_us=ahead_us))

    bench.loop.run(append(), timeout=120)
    bench.received("old")
    bench.clock.advance(8 * DAY_S)
    bench.received("new")

    bench.prune()

    assert bench.held_ids == ["new"]


@pytest.mark.parametrize("off", [8 * DAY_S, 365 * DAY_S])
@pytest.mark.parametrize("tells_time", [True, False], ids=["dated", "undated"])
def test_a_clock_that_is_ahead_deletes_nothing(
    make: Callable[..., Bench], tells_time: bool, off: float
) -> None:
    bench = make(tells_time=tells_time)
    bench.sweep()
    bench.received("event-0")

    bench.clock.now += off
    for _ in range(2):
        bench.prune()
        bench.sweep()
        bench.restart()

    assert bench.held_ids == ["event-0"]
