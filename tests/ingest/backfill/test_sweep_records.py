"""What is recorded of a sweep: how it ended, what it stored, when it began, how long it took."""

import pytest

from gateway.records.backfill import Cause, SweepEnded
from gateway.upstream.errors import Reason, UpstreamError
from tests.ingest.backfill.bench import Bench


def missed(bench: Bench, count: int) -> None:
    """Have a gateway that was away miss so many webhooks."""
    bench.sweep()
    bench.received("event-0")
    for number in range(1, count + 1):
        bench.clock.advance(3_600)
        bench.provider.add(number, bench.us)
    bench.restart()


def test_a_sweep_that_succeeds_says_what_it_stored_and_how_long_it_took(bench: Bench) -> None:
    missed(bench, 10)
    began = bench.clock.steady()

    first, second = bench.sweep(2)

    assert (first.cause, first.stored, first.error) == (Cause.START, 10, None)
    assert first.began == began
    # It has asked for several pages, with a pause after each.
    assert first.seconds > 0
    # What is held is not stored again, and the time between two sweeps is in neither.
    assert (second.stored, second.error) == (0, None)
    assert second.began > first.began + first.seconds


def test_a_sweep_that_fails_says_why_and_what_it_stored_before(bench: Bench) -> None:
    missed(bench, 10)

    def fail_at_the_fifth(_: object) -> None:
        if len(bench.provider.requests) == 5:
            bench.provider.failure = UpstreamError(Reason.UPSTREAM_UNAVAILABLE, "away")

    bench.provider.before_answer = fail_at_the_fifth

    (ended,) = bench.sweep()

    assert not ended.succeeded
    assert ended.error == "UPSTREAM_UNAVAILABLE: away"
    assert ended.stored == len(bench.held_ids) - 1  # without the one that came
    assert 0 < ended.stored < 10


def test_of_an_exception_that_nobody_foresaw_the_record_does_not_hold_the_text(
    bench: Bench,
) -> None:
    missed(bench, 1)

    def stumble(_: object) -> None:
        raise ZeroDivisionError("anything")

    bench.provider.before_answer = stumble
    began = bench.clock.steady()

    with pytest.raises(ZeroDivisionError):
        bench.sweep(2)

    assert bench.sweeps == [SweepEnded(Cause.START, began, 0.0, 0, "it failed unexpectedly")]
