"""A machine's clock that is wrong hides nothing from backfill, and nothing is deleted by it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ingest.backfill.complete import Complete
from gateway.journal.reading import NOBODY, Asker, Measures
from tests.harness.loop import LoopThread
from tests.ingest.backfill.bench import DAY_S, Bench
from tests.ingest.backfill.offclocks import (
    NO_AGE_S,
    OFF,
    claims_no_more_than_it_knows,
    off_ids,
    outage,
    true_us,
)


@pytest.mark.slow
@pytest.mark.parametrize("retention_age_s", [7 * DAY_S, NO_AGE_S], ids=["by age", "by size"])
@pytest.mark.parametrize("restarts", [False, True], ids=["runs on", "restarts"])
@pytest.mark.parametrize("off", OFF, ids=off_ids)
@pytest.mark.parametrize("tells_time", [True, False], ids=["dated", "undated"])
def test_six_seconds_of_a_wrong_clock_do_not_hide_an_outage(
    make: Callable[..., Bench], tells_time: bool, off: float, restarts: bool, retention_age_s: float
) -> None:
    bench = make(tells_time=tells_time, retention_age_s=retention_age_s)
    bench.sweep(20)
    bench.received("before")

    bench.clock.now += off
    bench.sweep()
    bench.clock.advance(6)
    bench.sweep()
    bench.clock.put_right()
    sent = outage(bench)
    if restarts:
        bench.restart()
    bench.sweep(2)

    assert set(bench.held_ids) >= sent
    claims_no_more_than_it_knows(bench)


@pytest.mark.slow
@pytest.mark.parametrize("off", OFF, ids=off_ids)
@pytest.mark.parametrize("while_wrong", [True, False], ids=["found while wrong", "found after"])
def test_a_clock_that_is_wrong_from_the_start_hides_nothing(
    make: Callable[..., Bench], off: float, while_wrong: bool
) -> None:
    bench = make(tells_time=True)
    bench.clock.now += off
    bench.restart()
    bench.sweep(3)
    sent = outage(bench)
    if not while_wrong:
        bench.clock.put_right()
    bench.restart()
    began = bench.clock.true
    bench.sweep(2)

    assert set(bench.held_ids) == sent
    # Nobody can tell which of two clocks is right, so a sweep looks at all between them.
    received = [it.received_at.seconds for it in bench.held]
    assert began - 600 < min(received)
    assert max(received) < bench.clock.true + 600
    claims_no_more_than_it_knows(bench)


@pytest.mark.slow
@pytest.mark.parametrize("retention_age_s", [7 * DAY_S, NO_AGE_S], ids=["by age", "by size"])
@pytest.mark.parametrize("off", [3_600.0, DAY_S, 365 * DAY_S])
def test_what_an_older_gateway_has_marked_by_a_wrong_clock_is_not_believed(
    make: Callable[..., Bench], off: float, retention_age_s: float
) -> None:
    """A log can hold a mark, and an event that was deleted, of a time that has not come."""
    bench = make(tells_time=True, retention_age_s=retention_age_s)
    bench.sweep()
    bench.received("before")
    sent = outage(bench)
    ahead_us = true_us(bench) + round(off * 1e6)
    bench.loop.run(bench.completeness.mark(ahead_us))
    measures = bench.log.index.measures

    async def of_the_future(asker: Asker = NOBODY) -> Measures:
        return replace(await measures(asker), deleted_received_at_us=ahead_us)

    bench.log.index.measures = of_the_future  # type: ignore[method-assign]
    claims_no_more_than_it_knows(bench)

    bench.sweep(2)

    assert set(bench.held_ids) >= sent
    complete = bench.complete
    assert complete is not None
    assert complete.since_us <= complete.until_us <= true_us(bench)


def test_a_mark_that_was_taken_back_stays_so_after_a_restart(make: Callable[..., Bench]) -> None:
    bench = make(tells_time=True)
    bench.sweep()
    bench.loop.run(bench.completeness.correct(Complete(5, 7)))

    bench.restart()

    assert bench.complete == Complete(5, 7)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from([*OFF, -200.0, 200.0])),
        st.tuples(st.just("right"), st.just(0.0)),
        st.tuples(st.just("pass"), st.sampled_from([1.0, 60.0, 900.0, 7_200.0])),
        st.tuples(st.just("sweep"), st.just(0.0)),
        st.tuples(st.just("prune"), st.just(0.0)),
        st.tuples(st.just("restart"), st.just(0.0)),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=60)
@given(steps, st.booleans())
def test_however_the_clock_is_set_everything_is_found_in_the_end_and_nothing_deleted(
    loop: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
    story: list[tuple[str, float]],
    tells_time: bool,
) -> None:
    bench = Bench(loop, tmp_path_factory.mktemp("log"), tells_time=tells_time)
    bench.sweep(4)
    sent = 0
    for what, seconds in story:
        match what:
            case "set":
                bench.clock.now = bench.clock.true + seconds
            case "right":
                bench.clock.put_right()
            case "pass":
                bench.clock.advance(seconds)
                bench.provider.add(sent, true_us(bench))
                sent += 1
            case "sweep":
                bench.sweep()
                if tells_time:
                    claims_no_more_than_it_knows(bench)
            case "prune":
                bench.prune()
            case "restart":
                # Nobody can tell how long a machine was off that has no clock at all.
                if not tells_time:
                    bench.clock.put_right()
                bench.restart()
    bench.clock.put_right()
    bench.clock.advance(60)
    bench.sweep(2)

    assert sorted(bench.held_ids) == sorted(f"event-{number}" for number in range(sent))
    claims_no_more_than_it_knows(bench)
    bench.close()
