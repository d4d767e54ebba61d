"""Searching a log: in bounded steps that together find what a scan finds."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.events import NewEvent
from gateway.journal.filter import Filter
from gateway.journal.ports import EventLog
from gateway.journal.reading import TimeBounds
from gateway.journal.sqlite import open_log, reads
from tests.harness.events import FORMAT, choosing, new_event
from tests.harness.loop import LoopThread

EVERYTHING = Filter()


async def _all(log: EventLog, events: Sequence[NewEvent]) -> None:
    await asyncio.gather(*map(log.journal.append, events))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.integers(0, 20), max_size=25),
    bounds=st.builds(TimeBounds, st.integers(0, 20), st.integers(0, 22) | st.just(2**62)),
    wanted=st.sampled_from([EVERYTHING, choosing(conference_id=["c1"])]),
    limit=st.integers(1, 9),
    step=st.integers(1, 30),
    newest_first=st.booleans(),
)
def test_a_search_in_steps_finds_what_a_scan_finds(
    loop: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
    times: list[int],
    bounds: TimeBounds,
    wanted: Filter,
    limit: int,
    step: int,
    newest_first: bool,
) -> None:
    path = tmp_path_factory.mktemp("steps") / "events.db"
    log = loop.run(open_log(path, FORMAT))
    events = [
        new_event(received_at_us=at, conference_id=f"c{number % 3}")
        for number, at in enumerate(times)
    ]
    found: list[int] = []
    steps = 0
    try:
        loop.run(_all(log, events))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reads, "SCAN_MAX", step)
            patch.setattr(reads, "TIMES_MAX", step)
            rest = loop.run(log.index.stretch(bounds))
            while not rest.is_empty:
                page = loop.run(
                    log.index.page(
                        wanted, bounds, rest, limit, EVERYTHING, newest_first=newest_first
                    )
                )
                # A step is bounded, and never stands still.
                assert len(page.frames) <= min(limit, step)
                assert page.rest.through - page.rest.after < rest.through - rest.after
                found += [it.sequence for it in page.frames]
                rest, steps = page.rest, steps + 1
    finally:
        loop.run(log.close())

    expected = [
        number
        for number, event in enumerate(events, 1)
        if bounds.since_us <= event.received_at_us < bounds.until_us and wanted.matches(event.keys)
    ]
    assert found == (expected[::-1] if newest_first else expected)
    assert steps >= len(expected) / min(limit, step)
