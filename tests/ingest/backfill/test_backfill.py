"""Backfill: which spans are asked for and when, what is stored, and where it goes on."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import EVENT_ORIGIN_BACKFILL
from gateway.ingest.backfill.backfill import FAILED_WRITE_DELAY_S
from gateway.ingest.backfill.beginning import OVERLAP_S, SETTLE_S, START_MARGIN_S
from gateway.ingest.backfill.fetch import SPAN_MIN_US
from gateway.ingest.backfill.report import State
from gateway.ingest.backfill.span import PAGES_MAX
from gateway.ingest.backfill.sweep import Addressees
from gateway.ingest.webhooks.body import BODY_BYTES_MAX
from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended, NewEvent
from gateway.records.backfill import Cause, Verdict
from gateway.upstream.deliveries import DeliveriesPage, DeliveriesRequest, Delivery
from gateway.upstream.errors import Reason, UpstreamError
from tests.harness.loop import LoopThread
from tests.ingest.backfill.bench import DAY_S, INTERVAL_S, START, Bench, summaries
from tests.ingest.backfill.deliveries import HERE, delivery


@pytest.fixture
def bench(loop: LoopThread, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(loop, tmp_path)
    yield bench
    bench.close()


def test_a_new_log_has_missed_nothing(bench: Bench) -> None:
    bench.provider.add(1, bench.us - 10_000_000)

    bench.sweep(3)
    bench.restart()
    bench.sweep(3)

    assert bench.held_ids == []
    assert bench.complete is not None
    assert bench.complete.since_us == round(START * 1e6)


def test_what_was_sent_while_the_gateway_was_away_is_stored_in_order(bench: Bench) -> None:
    bench.sweep()
    bench.received("event-0")
    for number in range(1, 11):
        bench.clock.advance(12)
        bench.provider.add(number, bench.us)
    bench.restart()

    ended = bench.sweep()

    assert summaries(ended) == [(Cause.START, True)]
    assert bench.held_ids == [f"event-{number}" for number in range(11)]
    missed = bench.held[1:]
    assert {event.origin for event in missed} == {EVENT_ORIGIN_BACKFILL}
    assert {event.type for event in missed} == {"conference.participant.joined"}
    assert {event.conference_id for event in missed} == {"conf-1"}
    assert bench.backfill.report.stored == 10
    assert bench.backfill.report.state is State.IDLE


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


def test_what_is_held_is_not_stored_again(bench: Bench) -> None:
    bench.sweep()
    bench.received("event-1", "event-2")
    for number in (1, 2, 3):
        bench.provider.add(number, bench.us)
    bench.clock.advance(10)

    bench.sweep(2)

    assert bench.held_ids == ["event-1", "event-2", "event-3"]
    assert bench.verdicts[Verdict.STORED] == 1


def test_webhooks_of_other_applications_stay_out(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    for number in (1, 2, 3):
        bench.provider.add(number, bench.us)
    bench.provider.rewrite(0, urls=frozenset({"https://elsewhere.example/hooks"}))
    bench.provider.rewrite(1, urls=None)

    bench.sweep()

    # One whose address is not told may be ours.
    assert sorted(bench.held_ids) == ["event-2", "event-3"]
    assert bench.verdicts == {Verdict.FOREIGN: 1, Verdict.STORED: 2}


def test_own_addresses_can_be_named() -> None:
    named = Addressees(["https://a.example/hooks/", "https://b.example/telnyx"])

    def told(*urls: str) -> bool:
        return named.include(delivery(1, 0, frozenset(urls)))

    assert told("https://a.example/hooks")
    assert told("https://elsewhere.example/", "https://b.example/telnyx")
    assert not told(HERE)


def test_what_is_no_event_is_passed_over(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    bench.provider.add(1, bench.us)
    bench.provider.deliveries.append(
        Delivery("delivery-2", bench.us, frozenset({HERE}), b'{"data": {"id": "event-2"}}')
    )

    bench.sweep()

    assert bench.held_ids == ["event-1"]
    assert bench.verdicts == {Verdict.UNREADABLE: 1, Verdict.STORED: 1}


def test_an_event_that_cannot_be_stored_does_not_keep_out_the_others(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    for number in (1, 2, 3):
        bench.provider.add(number, bench.us)
    append = bench.log.journal.append

    async def fail_together(event: NewEvent) -> Appended:
        # As a group does in which one cannot be stored: the first time all of them fail.
        if event.id == "event-2" or event.id not in asked:
            asked.add(event.id)
            raise LogUnavailableError("the event log cannot be written")
        return await append(event)

    asked: set[str] = set()
    bench.log.journal.append = fail_together  # type: ignore[method-assign]

    assert summaries(bench.sweep()) == [(Cause.START, True)]

    assert bench.held_ids == ["event-1", "event-3"]
    assert bench.backfill.report.unreadable == 1


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


def test_a_webhook_too_large_to_be_sent_to_anybody_stays_out(bench: Bench) -> None:
    bench.sweep()
    bench.clock.advance(1)
    bench.provider.add(1, bench.us)
    body = json.loads(delivery(2, bench.us).webhook)
    body["data"]["payload"]["client_state"] = "x" * BODY_BYTES_MAX
    large = replace(delivery(2, bench.us), webhook=json.dumps(body).encode())
    malformed = delivery(3, bench.us, frozenset({"http://[", "//"}))
    bench.provider.deliveries += [large, malformed]

    bench.sweep()

    assert bench.held_ids == ["event-1"]
    assert bench.verdicts == {Verdict.STORED: 1, Verdict.UNREADABLE: 1, Verdict.FOREIGN: 1}


def test_a_mistake_of_ours_is_told(bench: Bench) -> None:
    bench.received("event-0")

    def stumble(_: object) -> None:
        raise ZeroDivisionError

    bench.provider.before_answer = stumble
    with pytest.raises(ZeroDivisionError):
        bench.sweep(2)

    assert bench.backfill.report.state is State.FAILING
    assert summaries(bench.sweeps) == [(Cause.START, False)]


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


def test_a_full_hour_is_fetched_in_parts(bench: Bench) -> None:
    bench.sweep()
    for number in range(300):
        bench.provider.add(number, bench.us + number * 10_000_000)
    bench.clock.advance(3_600)

    bench.sweep()

    assert len(bench.held_ids) == 300
    assert max(it.page for it in bench.provider.requests) <= PAGES_MAX


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


@pytest.mark.parametrize("pages", [None, 10**9])
def test_a_provider_that_gives_the_same_page_again_and_again_is_not_asked_for_ever(
    bench: Bench, pages: int | None
) -> None:
    bench.sweep()
    bench.clock.advance(60)
    for number in (1, 2, 3):
        bench.provider.add(number, bench.us)
    answer = bench.provider.page

    async def first_page(request: DeliveriesRequest) -> DeliveriesPage:
        page = await answer(replace(request, page=1))
        return replace(page, pages=pages if page.rows else 0)

    bench.provider.page = first_page  # type: ignore[method-assign]
    bench.sweep()

    assert sorted(bench.held_ids) == ["event-1", "event-2", "event-3"]


@settings(max_examples=20)
@given(st.lists(st.integers(0, 20_000), max_size=300), st.integers(1, 4))
def test_any_outage_is_cut_into_spans_that_leave_nothing_out(
    loop: LoopThread, tmp_path_factory: pytest.TempPathFactory, seconds: list[int], page_size: int
) -> None:
    bench = Bench(loop, tmp_path_factory.mktemp("log"), page_size)
    bench.sweep()
    for number, second in enumerate(seconds):
        bench.provider.add(number, round((START + second) * 1e6))
    bench.clock.advance(20_001)

    bench.sweep()

    assert sorted(bench.held_ids) == sorted(f"event-{number}" for number in range(len(seconds)))
    # No span with more pages than may be in memory, unless it cannot be cut any further.
    for it in bench.provider.requests:
        assert it.page <= PAGES_MAX or it.until_us - it.since_us <= SPAN_MIN_US
    bench.close()


# When


def test_while_webhooks_come_in_only_failures_are_asked_for(bench: Bench) -> None:
    causes = []
    for number in range(5):
        causes += [it.cause for it in bench.sweep()]
        bench.clock.advance(INTERVAL_S)
        bench.received(f"event-{number}")

    # After a start everything, until all that had been under way is final.
    assert causes == [Cause.START] * 3 + [Cause.ROUTINE] * 2
    assert [it.failed_only for it in bench.provider.requests][-2:] == [True, True]


def test_silence_asks_for_everything(bench: Bench) -> None:
    causes = [it.cause for it in bench.sweep(5)]

    assert causes == [Cause.START] * 3 + [Cause.SILENCE] * 2
    assert not any(it.failed_only for it in bench.provider.requests)


def test_a_failed_write_asks_for_everything_soon_and_again_when_all_is_final(
    bench: Bench,
) -> None:
    bench.sweep(4)
    bench.received("event-0")
    bench.backfill.webhook_received("log_unavailable")

    async def nudged() -> None:
        await asyncio.wait_for(bench.backfill._wait(), 5)

    before = bench.clock.now
    bench.backfill._sleep = _never_but(bench, FAILED_WRITE_DELAY_S)
    bench.loop.run(nudged())
    assert bench.clock.now - before == FAILED_WRITE_DELAY_S
    bench.backfill._sleep = bench._sleep

    causes = []
    for number in range(4):
        causes += [it.cause for it in bench.sweep()]
        bench.clock.advance(INTERVAL_S)
        bench.received(f"event-{number + 1}")
    assert causes == [Cause.FAILED_WRITE] * 3 + [Cause.ROUTINE]


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


def _never_but(bench: Bench, seconds: float) -> Callable[[float], Awaitable[None]]:
    """A sleep that only one length of time wakes from."""

    async def sleep(wanted: float) -> None:
        if wanted != seconds:
            await asyncio.Event().wait()
        bench.clock.advance(wanted)

    return sleep
