"""A provider that fails is asked again, not too early, and one bad entry blocks no other."""

import math
from itertools import pairwise

import pytest

from gateway.ingest.backfill.report import State
from gateway.records.backfill import Cause
from gateway.upstream.deliveries import DeliveriesPage, DeliveriesRequest
from gateway.upstream.errors import Reason, UpstreamError
from tests.ingest.backfill.bench import Bench, summaries


def test_a_mistake_of_ours_is_told(bench: Bench) -> None:
    bench.received("event-0")

    def stumble(_: object) -> None:
        raise ZeroDivisionError

    bench.provider.before_answer = stumble
    with pytest.raises(ZeroDivisionError):
        bench.sweep(2)

    assert bench.backfill.report.state is State.FAILING
    assert summaries(bench.sweeps) == [(Cause.START, False)]


def test_a_failing_provider_is_asked_again_with_growing_pauses(bench: Bench) -> None:
    bench.received("event-0")
    bench.provider.failure = UpstreamError(Reason.UPSTREAM_UNAVAILABLE, "away")

    bench.sweep(9)

    assert bench.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert bench.complete is None


@pytest.mark.parametrize("wait_s", [0.0, 0.5, 5.0, 90.0, 3_600.0, 100_000.0])
def test_a_failing_provider_is_not_asked_before_it_wants_to_be_asked_again(
    bench: Bench, wait_s: float
) -> None:
    bench.received("event-0")
    bench.provider.failure = UpstreamError(
        Reason.UPSTREAM_UNAVAILABLE, "closed", retry_after=wait_s
    )
    asked_at = bench.asked_for_the_time_at
    bench.provider.before_answer = lambda request: asked_at.append(bench.clock.true)

    bench.sweep(15)

    assert bench.pauses[:8] == [max(wait_s, pause) for pause in (1, 2, 4, 8, 16, 32, 60, 60)]
    assert len(asked_at) >= 15
    assert all(b - a >= wait_s for a, b in pairwise(asked_at))
    bench.provider.failure = None
    bench.sweep()
    assert bench.complete is not None


def test_a_piece_that_fails_with_a_wish_is_passed_over_without_asking_too_early(
    bench: Bench,
) -> None:
    wait_s = 300.0
    bench.sweep()
    bench.clock.advance(1)
    for number in range(1, 4):
        bench.provider.add(number, bench.us + number * 3_000_000)
    bench.provider.poison["delivery-2"] = UpstreamError(
        Reason.UPSTREAM_UNAVAILABLE, "broken", retry_after=wait_s
    )
    bench.clock.advance(10)
    asked_at: list[float] = []
    failed_at: list[float] = []
    ask = bench.provider.page

    async def page(request: DeliveriesRequest) -> DeliveriesPage:
        asked_at.append(bench.clock.true)
        try:
            return await ask(request)
        except UpstreamError:
            failed_at.append(bench.clock.true)
            raise

    bench.provider.page = page  # type: ignore[method-assign]

    while not bench.backfill.report.skipped:
        bench.sweep()

    assert bench.held_ids == ["event-1", "event-3"]
    after = {at: next((it for it in asked_at if it > at), math.inf) for at in failed_at}
    assert all(next_at - at >= wait_s for at, next_at in after.items())


def test_requests_are_paced(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    for number in range(1, 8):
        bench.provider.add(number, bench.us)

    bench.sweep()

    assert len(bench.provider.requests) == 3
    assert [it for it in bench.pauses if it < 1] == [0.2] * 3


@pytest.mark.parametrize(
    "reason", [Reason.UPSTREAM_UNREADABLE_RESPONSE, Reason.UPSTREAM_UNAVAILABLE]
)
def test_an_entry_that_the_provider_cannot_give_is_passed_over_in_the_end(
    bench: Bench, reason: Reason
) -> None:
    bench.sweep()
    for number in range(40):
        bench.clock.advance(60)
        # Some in the same second as the bad one.
        bench.provider.add(number, bench.us - number % 2 * 59_500_000)
    bench.clock.advance(60)
    bench.provider.poison["delivery-20"] = UpstreamError(reason, "bad")

    ended = bench.sweep(12)

    assert [it.succeeded for it in ended[:3]] == [False] * 3
    assert ended[-1].succeeded
    assert sorted(bench.held_ids) == sorted(f"event-{it}" for it in range(40) if it != 20)
    assert bench.backfill.report.skipped == 1


@pytest.mark.parametrize(
    "reason", [Reason.UPSTREAM_UNREADABLE_RESPONSE, Reason.UPSTREAM_UNAVAILABLE]
)
def test_nothing_is_passed_over_while_the_provider_answers_nothing(
    bench: Bench, reason: Reason
) -> None:
    bench.sweep()
    bench.clock.advance(60)
    bench.provider.add(1, bench.us)
    bench.provider.failure = UpstreamError(reason, "away")
    assert not any(it.succeeded for it in bench.sweep(30))
    bench.provider.failure = None

    bench.sweep()

    assert bench.held_ids == ["event-1"]
    assert bench.backfill.report.skipped == 0
