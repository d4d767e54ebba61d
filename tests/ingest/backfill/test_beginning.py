"""Where a sweep begins and goes on: nothing that was missed is before that."""

import pytest

from gateway.ingest.backfill.beginning import OVERLAP_S, SETTLE_S, START_MARGIN_S
from gateway.ingest.backfill.report import State
from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended, NewEvent
from gateway.records.backfill import Cause
from gateway.upstream.errors import Reason, UpstreamError
from tests.ingest.backfill.bench import DAY_S, INTERVAL_S, START, Bench, summaries


def test_a_new_log_has_missed_nothing(bench: Bench) -> None:
    bench.provider.add(1, bench.us - 10_000_000)

    bench.sweep(3)
    bench.restart()
    bench.sweep(3)

    assert bench.held_ids == []
    assert bench.complete is not None
    assert bench.complete.since_us == round(START * 1e6)


def test_a_log_that_nobody_has_marked_begins_with_its_newest_event(bench: Bench) -> None:
    bench.received("event-0")
    bench.clock.advance(DAY_S)
    for number in range(1, 4):
        bench.provider.add(number, bench.us - number * 1_000_000)

    bench.sweep()

    assert min(it.since_us for it in bench.provider.requests) == round(
        (START - START_MARGIN_S) * 1e6
    )
    assert bench.held_ids == ["event-0", "event-3", "event-2", "event-1"]


def test_what_retention_has_deleted_does_not_come_back(bench: Bench) -> None:
    for number in range(3):
        bench.received(f"event-{number}")
        bench.provider.add(number, bench.us)
        bench.clock.advance(3 * DAY_S)
    bench.prune()
    assert bench.held_ids == ["event-1", "event-2"]
    bench.restart()

    bench.sweep()

    assert bench.held_ids == ["event-1", "event-2"]
    assert min(it.since_us for it in bench.provider.requests) > START * 1e6


def test_an_outage_longer_than_the_retention_is_fetched_across_failures(bench: Bench) -> None:
    bench.received("event-0")
    bench.sweep()
    bench.clock.advance(8 * DAY_S)
    bench.prune()
    assert bench.held_ids == []
    for number in range(1, 8):
        bench.provider.add(number, bench.us - number * 20_000_000_000)
    bench.restart()
    failure = UpstreamError(Reason.UPSTREAM_UNAVAILABLE, "away")

    def fail_in_the_middle(_: object) -> None:
        bench.provider.failure = failure if len(bench.provider.requests) == 20 else None

    bench.provider.before_answer = fail_in_the_middle
    assert [it.succeeded for it in bench.sweep(2)] == [False, True]

    assert sorted(bench.held_ids) == [f"event-{number}" for number in range(1, 8)]


def test_an_event_that_came_after_a_quiet_time_hides_none_before_it(bench: Bench) -> None:
    bench.received("event-0")
    bench.sweep()
    bench.clock.advance(8 * DAY_S)
    bench.prune()
    bench.sweep()
    bench.provider.add(1, bench.us)
    bench.clock.advance(30)
    bench.received("event-2")

    bench.sweep()

    assert sorted(bench.held_ids) == ["event-1", "event-2"]


@pytest.mark.parametrize("ahead", [-200, 200])
def test_clocks_that_differ_as_much_as_webhooks_may_hide_nothing(
    bench: Bench, ahead: float
) -> None:
    bench.sweep(10)
    for number in range(1, 6):
        bench.provider.add(number, bench.us - round(ahead * 1e6))
        bench.clock.advance(INTERVAL_S)
        bench.received(f"other-{number}")
        bench.sweep()
    bench.clock.advance(300)
    bench.sweep()

    assert {f"event-{number}" for number in range(1, 6)} <= set(bench.held_ids)


def test_a_sweep_goes_on_where_a_crash_stopped_it(bench: Bench) -> None:
    bench.sweep()
    for _ in range(10):
        bench.clock.advance(3_600)
        bench.provider.add(len(bench.provider.deliveries), bench.us)
    bench.restart()
    failure = UpstreamError(Reason.UPSTREAM_UNAVAILABLE, "away")

    def fail_at_the_fifth(_: object) -> None:
        if len(bench.provider.requests) == 5:
            bench.provider.failure = failure

    bench.provider.before_answer = fail_at_the_fifth
    assert summaries(bench.sweep()) == [(Cause.START, False)]
    got = bench.held_ids
    assert 0 < len(got) < 10
    assert bench.backfill.report.state is State.FAILING
    assert bench.backfill.report.error.endswith("away")

    bench.provider.failure = None
    bench.provider.before_answer = lambda request: None
    bench.provider.requests.clear()
    bench.restart()
    bench.sweep()

    assert bench.held_ids == [f"event-{number}" for number in range(10)]
    # Not from the beginning: no further back than the margin before what had been done.
    done_us = bench.provider.deliveries[len(got) - 1].started_at_us
    assert bench.provider.requests[0].since_us >= done_us - round(START_MARGIN_S * 1e6)


def test_what_could_not_be_stored_does_not_count_as_complete(bench: Bench) -> None:
    bench.sweep()
    before = bench.complete
    bench.clock.advance(DAY_S)
    bench.provider.add(1, bench.us - round(DAY_S * 5e5))
    append = bench.log.journal.append

    async def fail(event: NewEvent) -> Appended:
        raise LogUnavailableError("the disk is full")

    bench.log.journal.append = fail  # type: ignore[method-assign]
    assert summaries(bench.sweep()) == [(Cause.START, False)]
    marked = bench.complete
    bench.log.journal.append = append  # type: ignore[method-assign]
    bench.sweep()

    assert before is not None
    assert marked is not None
    assert marked.until_us < bench.provider.deliveries[0].started_at_us
    assert bench.held_ids == ["event-1"]


def test_what_is_not_final_is_looked_at_again(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(INTERVAL_S)
    # Its first attempt was made a minute before it appeared in the provider's log.
    began_us = bench.us
    bench.sweep()
    bench.provider.add(1, began_us - 1_000_000)
    bench.clock.advance(SETTLE_S - INTERVAL_S - 1)

    bench.sweep()

    assert bench.held_ids == ["event-1"]
    bench.clock.advance(OVERLAP_S)
    began_us = bench.us
    bench.sweep()
    assert bench.complete is not None
    assert bench.complete.until_us == began_us - round(OVERLAP_S * 1e6)


def test_a_clock_set_back_leaves_nothing_out(bench: Bench) -> None:
    bench.sweep(20)
    bench.clock.now -= 600
    bench.provider.add(1, bench.us - 1_000_000)

    bench.sweep()

    assert bench.held_ids == ["event-1"]
