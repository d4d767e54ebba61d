"""Backfill by one of several gateways: it begins where another has come to, and stops in time."""

import pytest

from gateway.ingest.backfill.beginning import OVERLAP_S, START_MARGIN_S
from gateway.ingest.backfill.complete import Complete, Completeness
from gateway.ingest.backfill.holding import LOOK_EVERY_S, look_on
from gateway.journal.errors import OutdatedError
from gateway.journal.leasing import LeaseLostError
from gateway.records.backfill import Cause
from gateway.upstream.errors import Reason, UpstreamError
from tests.ingest.backfill.bench import INTERVAL_S, Bench

HOUR_US = round(3_600 * 1e6)


def _other(bench: Bench) -> Completeness:
    """What another gateway knows of the log."""
    return bench.loop.run(Completeness.begin(bench.log))


def test_who_takes_over_begins_where_another_has_come_to(bench: Bench) -> None:
    bench.received("event-0")
    bench.sweep(3)
    began_us = bench.us
    bench.clock.advance(10 * 3_600)
    other = _other(bench)
    bench.loop.run(other.mark(began_us + 9 * HOUR_US))
    bench.provider.requests.clear()

    (sweep,) = bench.take_over()

    assert sweep.cause is Cause.START
    assert sweep.succeeded
    since_us = min(it.since_us for it in bench.provider.requests)
    assert since_us == began_us + 9 * HOUR_US - round(START_MARGIN_S * 1e6)
    assert not any(it.failed_only for it in bench.provider.requests)


def test_what_another_has_corrected_backwards_is_fetched_again(bench: Bench) -> None:
    bench.received("event-0")
    bench.sweep(3)
    bench.clock.advance(10 * 3_600)
    # Itself it has read all of that.
    bench.sweep(2)
    other = _other(bench)
    assert bench.complete is not None
    earlier_us = bench.complete.until_us - HOUR_US
    bench.loop.run(other.correct(Complete(earlier_us, earlier_us)))
    bench.provider.requests.clear()

    bench.take_over()

    assert min(it.since_us for it in bench.provider.requests) <= earlier_us


def test_a_mark_of_another_gateway_is_not_written_over(bench: Bench) -> None:
    bench.received("event-0")
    bench.sweep(3)
    assert bench.complete is not None
    marked = Complete(bench.complete.since_us, bench.complete.until_us - 10)
    other = _other(bench)

    def another_marks(_: object) -> None:
        # Called within the loop, so that it has to be awaited there.
        bench.provider.before_answer = lambda request: None
        marking.append(bench.loop.loop.create_task(other.correct(marked)))

    marking: list[object] = []
    bench.provider.before_answer = another_marks
    bench.clock.advance(INTERVAL_S)
    failed, succeeded = bench.sweep(2)

    assert failed.error is not None
    assert "meanwhile" in failed.error
    # It has read that one, and goes on from there.
    assert succeeded.succeeded
    assert bench.complete.until_us > marked.until_us
    assert _other(bench).complete == bench.complete


def test_who_marks_late_is_refused_and_changes_nothing(bench: Bench) -> None:
    bench.received("event-0")
    late, current = _other(bench), _other(bench)
    bench.loop.run(current.mark(bench.us))

    for _ in range(2):
        with pytest.raises(OutdatedError):
            bench.loop.run(late.mark(bench.us + HOUR_US))

    assert _other(bench).complete == current.complete
    bench.loop.run(late.reload())
    assert late.complete == current.complete


def test_a_page_that_comes_after_the_lease_was_lost_is_not_stored(bench: Bench) -> None:
    bench.received("event-0")
    bench.sweep(3)
    before = bench.complete
    bench.provider.add(7, bench.us)
    bench.provider.requests.clear()
    bench.clock.advance(INTERVAL_S)

    def lose(_: object) -> None:
        bench.lease.is_held = False

    bench.provider.before_answer = lose
    for _ in range(2):
        with pytest.raises(LeaseLostError):
            bench.sweep()

    assert len(bench.provider.requests) == 1, "the page that was under way, and no more"
    assert bench.held_ids == ["event-0"]
    assert bench.complete == _other(bench).complete == before
    assert bench.backfill.report.error == ""


def test_a_mark_is_not_made_after_the_lease_was_lost(bench: Bench) -> None:
    """Of a log without anything: there is nothing to fetch, and a mark to make."""

    def lose() -> None:
        bench.lease.is_held = False

    bench.before_time = lose
    for _ in range(2):
        with pytest.raises(LeaseLostError):
            bench.sweep()

    assert len(bench.asked_for_the_time_at) == 1
    assert _other(bench).complete is None


def test_events_that_other_gateways_have_stored_are_no_silence(bench: Bench) -> None:
    causes = []
    for _ in range(5):
        causes += [it.cause for it in bench.sweep()]
        bench.clock.advance(INTERVAL_S)
        bench.backfill.events_came()

    assert causes == [Cause.START] * 3 + [Cause.ROUTINE] * 2


def test_events_that_a_sweep_has_stored_are_silence(bench: Bench) -> None:
    bench.received("event-0")
    bench.sweep(4)
    bench.clock.advance(INTERVAL_S)

    def store_some_and_fail(_: object) -> None:
        bench.backfill.events_came()
        bench.provider.failure = UpstreamError(Reason.UPSTREAM_UNAVAILABLE, "away")

    bench.provider.before_answer = store_some_and_fail

    assert [(it.cause, it.succeeded) for it in bench.sweep(2)] == [(Cause.SILENCE, False)] * 2


def test_who_looks_on_knows_how_far_the_other_has_come(bench: Bench) -> None:
    looks_on, works = _other(bench), _other(bench)
    bench.lease.is_held = False
    slept: list[float] = []

    class EnoughError(Exception):
        pass

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise EnoughError
        await works.mark(len(slept) * 10)
        bench.lease.is_held = len(slept) == 2

    with pytest.raises(EnoughError):
        bench.loop.run(look_on(looks_on, bench.lease, sleep))

    assert slept == [LOOK_EVERY_S] * 3
    assert looks_on.complete == Complete(10, 10), "who holds the lease knows by itself"
    assert LOOK_EVERY_S < OVERLAP_S
