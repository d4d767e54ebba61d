"""Clocks that are wrong lose no event, neither to backfill nor to retention, and are told of."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conferencing.v1.event_service_pb2 import (
    CLOCK_STATE_CONFIRMED,
    CLOCK_STATE_SUSPECT,
    CLOCK_STATE_UNCONFIRMED,
    GetFeedInfoRequest,
    GetFeedInfoResponse,
)
from gateway.ingest.backfill.complete import Complete
from gateway.upstream.deliveries import DeliveriesRequest
from tests.conftest import StartGateway
from tests.harness.events import new_event
from tests.harness.gateway import RunningGateway
from tests.harness.logs import writer_of
from tests.harness.loop import LoopThread
from tests.harness.provider import RecordingProvider
from tests.harness.raw_deliveries import RawDeliveries, row
from tests.ingest.backfill.bench import DAY_S, START, Bench

OUTAGE_S = 7_200.0
# What `GATEWAY_RETENTION_AGE` is when only the size counts.
NO_AGE_S = 100 * 365 * DAY_S

OFF = [-365 * DAY_S, -DAY_S, -3_600.0, 3_600.0, DAY_S, 365 * DAY_S]
off_ids = ["a year behind", "a day behind", "an hour behind", "an hour ahead", "a day", "a year"]


@pytest.fixture
def make(loop: LoopThread, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(*, tells_time: bool, retention_age_s: float = 7 * DAY_S) -> Bench:
        bench = Bench(loop, tmp_path, retention_age_s=retention_age_s, tells_time=tells_time)
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.close()


def true_us(bench: Bench) -> int:
    return round(bench.clock.true * 1e6)


def outage(bench: Bench) -> set[str]:
    """Two hours in which the provider delivers nothing; returns what it sent."""
    sent = set()
    for number in range(1, 121):
        bench.clock.advance(OUTAGE_S / 120)
        bench.provider.add(number, true_us(bench))
        sent.add(f"event-{number}")
    return sent


def claims_no_more_than_it_knows(bench: Bench) -> None:
    reported = bench.backfill.report.complete
    assert reported is not None
    assert reported.until_us <= true_us(bench)


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
    writer = writer_of(bench.log)
    writer._state = replace(writer.state, deleted_received_at_us=ahead_us)
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


# A provider whose Date is wrong


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


# Retention


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


# As the API tells it


class FakeTime(SimpleNamespace):
    """The time module, on a machine whose clock is ahead."""

    def __init__(self) -> None:
        super().__init__(monotonic=time.monotonic, ahead=0.0)

    def time(self) -> float:
        return time.time() + float(self.ahead)


def info(gateway: RunningGateway) -> GetFeedInfoResponse:
    found: GetFeedInfoResponse = gateway.events.GetFeedInfo(GetFeedInfoRequest())
    return found


def until(
    gateway: RunningGateway, condition: Callable[[GetFeedInfoResponse], bool]
) -> GetFeedInfoResponse:
    for _ in range(20_000):
        if condition(found := info(gateway)):
            return found
    raise AssertionError(f"it stays {found}")


@pytest.mark.slow
@pytest.mark.parametrize("ahead", [-DAY_S, DAY_S])
def test_a_wrong_clock_is_told_and_events_are_found_by_the_provider_s(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    monkeypatch: pytest.MonkeyPatch,
    ahead: float,
) -> None:
    machine = FakeTime()
    machine.ahead = ahead
    monkeypatch.setattr("gateway.app.time", machine)
    log = provider.answer = RawDeliveries()
    gateway = start_gateway(
        provider.base_url, GATEWAY_BACKFILL="on", GATEWAY_BACKFILL_INTERVAL="0.2s"
    )

    told = until(gateway, lambda it: it.backfill.HasField("finished_at"))
    assert told.clock.state == CLOCK_STATE_SUSPECT
    assert abs(told.clock.ahead.ToTimedelta().total_seconds() - ahead) < 60
    log.rows = [row("missed", time.time(), "https://gateway.example/webhooks/telnyx")]
    found = until(gateway, lambda it: it.event_count == 1)
    assert found.backfill.complete_until.seconds <= time.time()
    assert abs(found.newest_received_at.seconds - time.time()) < 60
    assert "gateway_clock_ahead_seconds" in gateway.metrics()

    machine.ahead = 0.0
    assert info(gateway).clock.state == CLOCK_STATE_CONFIRMED


def test_a_verified_webhook_confirms_the_clock(fresh: RunningGateway) -> None:
    assert info(fresh).clock.state == CLOCK_STATE_UNCONFIRMED

    fresh.webhooks.event()

    assert info(fresh).clock.state == CLOCK_STATE_CONFIRMED
    assert not info(fresh).clock.HasField("ahead")
