"""However long the provider's log is, backfill holds little of it, and each round of it ends."""

import logging
import weakref
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.ingest.backfill import fetch
from gateway.ingest.backfill.report import State
from gateway.ingest.backfill.span import PAGES_ABSURD
from gateway.records.backfill import Cause
from gateway.upstream.deliveries import DeliveriesPage, DeliveriesRequest, Delivery
from gateway.upstream.errors import Reason, UpstreamError
from tests.harness.loop import LoopThread
from tests.ingest.backfill.bench import PAGE_SIZE, START, Bench, summaries
from tests.ingest.backfill.deliveries import DeliveryLog, delivery

pytestmark = pytest.mark.slow

# What may be in memory, in pages: the first, the last, and one more; and one that is being left.
HELD_PAGES_MAX = 4

AWAY = UpstreamError(Reason.UPSTREAM_UNAVAILABLE, "away")


class Tracked(Delivery):
    """A delivery of which can be told whether it is still in memory."""

    __slots__ = ("__weakref__",)


class Counting:
    """A source that counts which of the entries it gave are held by anybody."""

    def __init__(self, log: DeliveryLog) -> None:
        self.log = log
        self._alive = 0
        self.most_alive = 0
        self.pages = 0

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        # Of the page that is to come, nothing is there yet.
        self.most_alive = max(self.most_alive, self._alive)
        self.pages += 1
        page = await self.log.page(request)
        given = [Tracked(it.id, it.started_at_us, it.urls, it.webhook) for it in page.deliveries]
        self._alive += len(given)
        for it in given:
            weakref.finalize(it, self._gone)
        return DeliveriesPage(tuple(given), page.pages)

    def _gone(self) -> None:
        self._alive -= 1


def in_a_second(number: int) -> int:
    return 0


def in_an_hour(number: int) -> int:
    return number * 60_000_000


@pytest.mark.parametrize(
    ("spread", "events"),
    [(in_an_hour, 50), (in_a_second, 9), (in_a_second, 60), (in_a_second, 600)],
)
def test_what_is_in_memory_does_not_grow_with_the_number_of_pages(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, spread: Callable[[int], int], events: int
) -> None:
    bench.sweep()
    began_us = bench.us
    bench.clock.advance(7_200)
    for number in range(events):
        bench.provider.add(number, began_us + spread(number))
    counting = Counting(bench.provider)
    log = DeliveryLog(PAGE_SIZE)
    log.deliveries, log.before_answer = bench.provider.deliveries, bench.provider.before_answer
    counting.log = log
    monkeypatch.setattr(bench.provider, "page", counting.page)

    bench.sweep()

    assert len(bench.held_ids) == events
    assert counting.pages > events / PAGE_SIZE
    assert counting.most_alive <= HELD_PAGES_MAX * PAGE_SIZE


def test_what_stood_on_earlier_pages_survives_a_failure_on_a_later_one(bench: Bench) -> None:
    bench.sweep()
    began_us = bench.us
    for number in range(30):
        bench.provider.add(number, began_us + number * 60_000_000)
    bench.clock.advance(7_200)
    asked = len(bench.provider.requests)

    def fail_at_the_seventh(_: object) -> None:
        bench.provider.failure = AWAY if len(bench.provider.requests) == asked + 7 else None

    bench.provider.before_answer = fail_at_the_seventh
    assert summaries(bench.sweep()) == [(Cause.START, False)]

    before = bench.held_ids
    # All but the first page, which is kept to the end, and the one that failed.
    assert before == [f"event-{number}" for number in range(len(before))]
    assert len(before) >= (7 - 3) * PAGE_SIZE
    assert bench.complete is not None
    assert bench.complete.until_us <= began_us

    assert summaries(bench.sweep()) == [(Cause.START, True)]
    assert bench.held_ids == [f"event-{number}" for number in range(30)]


def test_what_comes_in_while_pages_are_read_hides_nothing(bench: Bench) -> None:
    """It is added at the front, and moves what has not been read to pages that have been."""
    bench.sweep()
    for _ in range(60):
        bench.clock.advance(60)
        bench.provider.add(len(bench.provider.deliveries), bench.us)

    def one_more(_: object) -> None:
        # It is in the log once it is final, and stands where its first attempt was made.
        bench.provider.add(len(bench.provider.deliveries), bench.us - 60_000_000)

    bench.provider.before_answer = one_more
    bench.sweep(3)
    bench.provider.before_answer = lambda request: None
    bench.sweep()

    sent = len(bench.provider.deliveries)
    assert sent > 80
    assert sorted(bench.held_ids) == sorted(f"event-{it}" for it in range(sent))
    settled = [it for it in bench.held_ids if int(it.removeprefix("event-")) < 50]
    assert settled == [f"event-{number}" for number in range(50)]


def test_an_order_that_is_not_the_provider_s_is_stored_oldest_first_all_the_same(
    bench: Bench,
) -> None:
    bench.sweep()
    began_us = bench.us
    bench.clock.advance(7_200)

    async def oldest_first(request: DeliveriesRequest) -> DeliveriesPage:
        found = [delivery(it, began_us + it * 60_000_000) for it in range(20)]
        found = [it for it in found if request.since_us <= it.started_at_us <= request.until_us]
        first = (request.page - 1) * PAGE_SIZE
        return DeliveriesPage(tuple(found[first : first + PAGE_SIZE]), -(-len(found) // PAGE_SIZE))

    bench.provider.page = oldest_first  # type: ignore[method-assign]
    bench.sweep()

    assert bench.held_ids == [f"event-{number}" for number in range(20)]


class Endless:
    """A log in which every moment is full of what was sent to somebody else."""

    def __init__(self, pages: int | None, *, is_cyclic: bool = False) -> None:
        self.requests: list[DeliveriesRequest] = []
        self._pages = pages
        self._is_cyclic = is_cyclic

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        self.requests.append(request)
        number = request.page % 2 if self._is_cyclic else len(self.requests)
        urls = frozenset({"https://elsewhere.example/"})
        rows = [delivery(number * 100 + it, request.since_us, urls) for it in range(request.size)]
        return DeliveriesPage(tuple(rows), self._pages)


@pytest.mark.parametrize(
    "endless",
    [Endless(None), Endless(1), Endless(2), Endless(10**9), Endless(None, is_cyclic=True)],
    ids=["no number", "1", "2", "a billion", "two pages in turn"],
)
def test_a_log_that_never_ends_does_not_keep_a_round_going_for_ever(
    bench: Bench,
    endless: Endless,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fetch, "SWEEP_REQUESTS_MAX", 1_200)
    bench.sweep()
    bench.clock.advance(86_400)
    bench.provider.page = endless.page  # type: ignore[method-assign]
    ends_us: list[int] = []

    with caplog.at_level(logging.WARNING, "gateway.ingest.backfill.backfill"):
        for _ in range(2):
            began = len(endless.requests)
            assert summaries(bench.sweep()) == [(Cause.START, True)]
            asked = endless.requests[began:]
            assert len(asked) <= fetch.SWEEP_REQUESTS_MAX + 2 * PAGES_ABSURD
            complete = bench.complete
            assert complete is not None
            # It goes on where it stopped, and claims no more than that.
            assert asked[0].since_us == (ends_us or [asked[0].since_us])[-1]
            assert asked[0].since_us < complete.until_us <= asked[-1].until_us
            ends_us.append(complete.until_us)

    assert bench.backfill.report.state is State.IDLE
    assert len([it for it in caplog.records if "continues each interval" in it.message]) == 1


@settings(max_examples=25, deadline=None)
@example([18_000, 18_000], 1, 1, False)  # a span that must be cut more often than a round may ask
@given(
    st.lists(st.integers(0, 20_000), max_size=100),
    st.integers(1, 4),
    st.sampled_from([1, 4, 30]),
    st.booleans(),
)
def test_round_by_round_everything_is_found_and_never_more_is_claimed(
    loop: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
    seconds: list[int],
    page_size: int,
    requests_max: int,
    restarts: bool,
) -> None:
    bench = Bench(loop, tmp_path_factory.mktemp("log"), page_size)
    bench.sweep()
    for number, second in enumerate(sorted(seconds)):
        bench.provider.add(number, round((START + second) * 1e6))
    bench.clock.advance(21_000)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetch, "SWEEP_REQUESTS_MAX", requests_max)
        # Each round reads a span at least, however often it has to be cut before.
        for _ in range(3 * len(seconds) + 30):
            bench.sweep()
            complete = bench.complete
            assert complete is not None
            known = [
                it for it in bench.provider.deliveries if it.started_at_us <= complete.until_us
            ]
            assert {it.id.replace("delivery", "event") for it in known} <= set(bench.held_ids)
            if complete.until_us >= round((START + 20_000) * 1e6):
                break
            if restarts:
                # Not each time: the first sweep of each process reaches further back.
                restarts = False
                bench.restart()
        else:
            raise AssertionError("it does not come to an end")
    bench.close()
