"""A provider's date that is wrong hides nothing, undoes nothing, and makes no sweep long."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.upstream.deliveries import DeliveriesRequest
from tests.harness.loop import LoopThread
from tests.ingest.backfill.bench import DAY_S, Bench
from tests.ingest.backfill.offclocks import NO_AGE_S, claims_no_more_than_it_knows, outage, true_us

DATES_OFF = [-365 * DAY_S, -DAY_S, -5_400.0, -301.0, 301.0, 5_400.0, DAY_S, 365 * DAY_S]


@pytest.mark.slow
@pytest.mark.parametrize("off", DATES_OFF)
@pytest.mark.parametrize("restarts", [False, True], ids=["runs on", "restarts"])
@pytest.mark.parametrize("from_the_start", [False, True], ids=["confirmed before", "from start"])
def test_six_seconds_of_a_wrong_date_do_not_hide_an_outage(
    make: Callable[..., Bench], off: float, restarts: bool, from_the_start: bool
) -> None:
    bench = make(tells_time=True)
    if not from_the_start:
        bench.sweep()
    bench.received("before")
    if from_the_start:
        bench.restart()

    bench.date_ahead = off
    bench.sweep()
    claims_no_more_than_it_knows(bench)
    bench.clock.advance(6)
    bench.date_ahead = 0.0
    sent = outage(bench)
    if restarts:
        bench.restart()
    bench.sweep(2)

    assert set(bench.held_ids) >= sent
    claims_no_more_than_it_knows(bench)
    complete = bench.backfill.report.complete
    assert complete is not None
    assert complete.until_us > true_us(bench) - 900_000_000


@pytest.mark.parametrize("restarts", [False, True], ids=["runs on", "restarts"])
def test_a_date_that_stands_still_keeps_nothing_back(
    make: Callable[..., Bench], restarts: bool
) -> None:
    bench = make(tells_time=True)
    bench.sweep()
    bench.received("before")
    bench.date_frozen = bench.clock.true
    sent = outage(bench)
    if restarts:
        bench.restart()

    bench.sweep(2)

    assert set(bench.held_ids) >= sent
    claims_no_more_than_it_knows(bench)


@pytest.mark.slow
@pytest.mark.parametrize("off", [-900 * DAY_S, -DAY_S, -900.0, 900.0, DAY_S, 900 * DAY_S])
def test_a_lone_wrong_date_at_the_start_undoes_nothing_that_is_known(
    make: Callable[..., Bench], off: float
) -> None:
    bench = make(tells_time=True)
    bench.sweep()
    bench.received("before")
    for _ in range(72):
        bench.clock.advance(3_600)
        bench.sweep()
    known = bench.complete
    assert known is not None

    bench.restart()
    bench.date_ahead = off
    bench.sweep()
    first = len(bench.provider.requests)
    bench.sweep(3)

    complete = bench.complete
    assert complete is not None
    assert complete.since_us == known.since_us
    assert complete.until_us >= known.until_us
    claims_no_more_than_it_knows(bench)
    # What the first sweep has looked through is not looked through again.
    assert len(bench.provider.requests) - first <= 3 * (2 + abs(off) / 3_600)

    bench.date_ahead = 0.0
    sent = outage(bench)
    bench.sweep()
    assert set(bench.held_ids) == {"before", *sent}
    assert bench.complete is not None
    assert bench.complete.until_us > true_us(bench) - 600_000_000


# What a sweep over an empty log may cost, in requests: spans that double from an hour to a century,
# once, and one for what no clock but a wrong one shows.
EMPTY_MAX = 24

years_off = st.sampled_from([0.0, 200.0, -200.0, 3_600.0]) | st.floats(-30, 30).map(
    lambda years: years * 365 * DAY_S
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(years_off, years_off, st.sampled_from([7 * DAY_S, NO_AGE_S]), st.booleans(), st.booleans())
def test_clocks_that_are_years_off_make_no_sweep_long_and_hide_nothing(
    loop: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
    clock_off: float,
    date_off: float,
    retention_age_s: float,
    is_new: bool,
    restarts: bool,
) -> None:
    # Two witnesses that are wrong together are believed.
    assume(clock_off == 0 or abs(clock_off - date_off) > 300)
    # A new log has nothing else to begin by: one of them must be right.
    assume(not is_new or abs(clock_off) <= 300 or abs(date_off) <= 300)
    bench = Bench(
        loop, tmp_path_factory.mktemp("log"), retention_age_s=retention_age_s, tells_time=True
    )
    if not is_new:
        bench.sweep(4)
        bench.received("before")
        bench.clock.advance(DAY_S)
    bench.clock.now += clock_off
    bench.date_ahead = date_off
    if restarts or is_new:
        bench.restart()
    for _ in range(4):
        bench.provider.requests.clear()
        bench.sweep()
        assert len(bench.provider.requests) <= EMPTY_MAX

    # A log begins when its clock says, give or take the tolerance.
    bench.clock.advance(300)
    sent = outage(bench)
    bench.sweep()
    bench.clock.put_right()
    bench.date_ahead = 0.0
    if restarts:
        bench.restart()
    bench.sweep(2)

    assert set(bench.held_ids) >= sent
    claims_no_more_than_it_knows(bench)
    bench.close()


def test_a_clock_that_is_put_right_during_a_sweep_ends_it(make: Callable[..., Bench]) -> None:
    bench = make(tells_time=True)
    bench.sweep(4)
    bench.date_ahead = 365 * DAY_S
    bench.sweep()
    answer = bench.provider.before_answer

    def put_right(request: DeliveriesRequest) -> None:
        if request.until_us > true_us(bench) + 1_000_000:
            bench.date_ahead = 0.0
        answer(request)

    bench.provider.before_answer = put_right
    bench.provider.requests.clear()
    bench.sweep()

    assert len(bench.provider.requests) == 1


dates = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["jump"]),
            st.sampled_from(DATES_OFF) | st.floats(-30 * DAY_S, 30 * DAY_S),
        ),
        st.tuples(st.sampled_from(["right", "freeze", "sweep", "prune", "restart"]), st.just(0.0)),
        st.tuples(st.just("webhook"), st.just(0.0)),
        st.tuples(st.just("pass"), st.sampled_from([1.0, 60.0, 900.0, 7_200.0])),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(dates)
def test_whatever_the_provider_s_date_says_everything_is_found_in_the_end_and_nothing_deleted(
    loop: LoopThread, tmp_path_factory: pytest.TempPathFactory, story: list[tuple[str, float]]
) -> None:
    bench = Bench(loop, tmp_path_factory.mktemp("log"), tells_time=True)
    bench.sweep(4)
    sent, posted = 0, 0
    for what, seconds in story:
        match what:
            case "jump":
                bench.date_ahead, bench.date_frozen = seconds, None
            case "right":
                bench.date_ahead, bench.date_frozen = 0.0, None
            case "freeze":
                bench.date_frozen = bench.clock.true + bench.date_ahead
            case "pass":
                bench.clock.advance(seconds)
                bench.provider.add(sent, true_us(bench))
                sent += 1
            case "webhook":
                bench.received(f"posted-{posted}")
                posted += 1
            case "sweep":
                bench.sweep()
            case "prune":
                bench.prune()
            case "restart":
                bench.restart()
        if bench.backfill.report.complete is not None:
            claims_no_more_than_it_knows(bench)
    bench.date_ahead, bench.date_frozen = 0.0, None
    bench.clock.advance(60)
    bench.sweep(2)
    bench.prune()

    expected = [f"event-{n}" for n in range(sent)] + [f"posted-{n}" for n in range(posted)]
    assert sorted(bench.held_ids) == sorted(expected)
    claims_no_more_than_it_knows(bench)
    bench.close()
