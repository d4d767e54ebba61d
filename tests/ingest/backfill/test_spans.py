"""How a long time is fetched: in spans and pages, as many requests as it takes and no more."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ingest.backfill.fetch import SPAN_MIN_US
from gateway.ingest.backfill.span import PAGES_MAX
from gateway.upstream.deliveries import DeliveriesPage, DeliveriesRequest
from tests.harness.loop import LoopThread
from tests.ingest.backfill.bench import START, Bench


def test_a_full_hour_is_fetched_in_parts(bench: Bench) -> None:
    bench.sweep()
    for number in range(300):
        bench.provider.add(number, bench.us + number * 10_000_000)
    bench.clock.advance(3_600)

    bench.sweep()

    assert len(bench.held_ids) == 300
    assert max(it.page for it in bench.provider.requests) <= PAGES_MAX


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
