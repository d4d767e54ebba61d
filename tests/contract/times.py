"""Index: events by when they were received, and how much the log holds."""

import random

from hypothesis import strategies as st

from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from tests.contract.check import check, check_for_any
from tests.contract.samples import NOW, NOW_US, SECOND_US, event
from tests.contract.under_test import LogUnderTest


@check
async def the_first_since_a_moment_is_found(log: LogUnderTest) -> None:
    assert await log.index.first_received_since(0) == 1

    await log.append_in_order(*[event(at_us=at_us) for at_us in (100, 200, 200, 300)])

    since = log.index.first_received_since
    assert [await since(it) for it in (0, 100, 101, 200, 201, 300, 301)] == [1, 1, 2, 2, 4, 4, 5]


@check
async def the_first_since_a_moment_is_that_of_the_log(log: LogUnderTest) -> None:
    # A clock that was set back: the first in time need not be the first in the log.
    await log.append_in_order(*[event(at_us=at_us) for at_us in (100, 300, 50, 200, 310)])

    since = log.index.first_received_since
    assert [await since(it) for it in (50, 60, 150, 250, 305, 999)] == [1, 1, 2, 2, 5, 6]


@check_for_any(st.tuples(st.lists(st.integers(0, 12)), st.integers(0, 12)), count=25)
async def who_begins_at_a_moment_misses_nothing_since(
    log: LogUnderTest, example: tuple[list[int], int]
) -> None:
    times, deleted_through = example
    await log.append_in_order(*[event(at_us=at_us * SECOND_US) for at_us in times])
    await log.prune(Retention(0, 2**40), now=deleted_through)

    for moment_us in range(0, 13 * SECOND_US, SECOND_US):
        assert await log.index.first_received_since(moment_us) == log.model.since(moment_us)


@check
async def the_measures_say_what_is_held(log: LogUnderTest) -> None:
    empty = await log.index.measures()
    assert (empty.span, empty.oldest_received_at_us, empty.newest_received_at_us) == (
        Span(1, 0),
        None,
        None,
    )

    await log.append_in_order(*[event(at_us=NOW_US + number) for number in (1, 2, 3)])
    measures = await log.index.measures()

    assert measures.span == Span(1, 3)
    assert measures.oldest_received_at_us == NOW_US + 1
    assert measures.newest_received_at_us == NOW_US + 3


@check
async def the_size_is_about_that_of_the_events(log: LogUnderTest) -> None:
    noise = random.Random(3)
    sizes = []
    for _ in range(3):
        await log.append(*[event(raw=noise.randbytes(20_000)) for _ in range(50)])
        sizes.append((await log.index.measures()).size_bytes)
        await log.reopen()
        sizes.append((await log.index.measures()).size_bytes)

    assert sizes == sorted(sizes)
    assert all(
        stored <= size <= 2 * stored
        for size, stored in zip(sizes[1::2], (1_000_000, 2_000_000, 3_000_000), strict=True)
    )


@check
async def when_the_newest_deleted_event_was_received_is_remembered(log: LogUnderTest) -> None:
    assert (await log.index.measures()).deleted_received_at_us is None
    times = [number * SECOND_US for number in (5, 9, 2, 1_000, 7, NOW)]
    await log.append_in_order(*[event(at_us=at_us) for at_us in times])

    # What is of the future says nothing.
    assert await log.prune(Retention(10, 2**40), now=50) == 5
    for _ in range(2):
        assert (await log.index.measures()).deleted_received_at_us == 9 * SECOND_US
        await log.reopen()

    # A clock that was set back.
    await log.append(event(at_us=3 * SECOND_US))
    await log.prune(Retention(10, 2**40), now=50)
    assert (await log.index.measures()).deleted_received_at_us == 9 * SECOND_US

    await log.append(event(at_us=NOW * SECOND_US))
    await log.prune(Retention(10, 2**40), now=NOW + 20)
    await log.reopen()
    measures = await log.index.measures()
    assert (measures.span, measures.deleted_received_at_us) == (Span(9, 8), NOW * SECOND_US)
