"""Index: searching a stretch in steps, from either end, gives every matching event once."""

from hypothesis import strategies as st

from gateway.journal.filter import EVERYTHING
from gateway.journal.reading import READ_BYTES_MAX, Stretch, TimeBounds
from gateway.journal.retention import Retention
from tests.contract.check import check, check_for_any
from tests.contract.samples import choosing, event, events
from tests.contract.under_test import ALL_TIMES, LogUnderTest, length


async def _rooms(log: LogUnderTest) -> None:
    """Store twenty events, every other one of them in room b."""
    await log.append_in_order(*[event(room="ab"[number % 2]) for number in range(20)])


@check
async def a_page_begins_where_the_stretch_does(log: LogUnderTest) -> None:
    await _rooms(log)

    page = await log.page(stretch=Stretch(4, 12), limit=3)
    assert list(page.frames) == log.frames([5, 6, 7])
    assert page.rest == Stretch(7, 12)
    page = await log.page(choosing(room="b"), stretch=Stretch(4, 12), limit=2)
    assert list(page.frames) == log.frames([6, 8])
    assert await log.paged(choosing(room="b"), stretch=page.rest) == log.frames([10, 12])


@check
async def a_page_of_the_newest_begins_at_the_end(log: LogUnderTest) -> None:
    await _rooms(log)

    page = await log.page(stretch=Stretch(4, 12), limit=3, newest_first=True)
    assert list(page.frames) == log.frames([12, 11, 10])
    assert page.rest == Stretch(4, 9)
    wanted = choosing(room="a")
    page = await log.page(wanted, stretch=Stretch(4, 12), limit=2, newest_first=True)
    assert list(page.frames) == log.frames([11, 9])
    rest = await log.paged(wanted, stretch=page.rest, newest_first=True)
    assert rest == log.frames([7, 5])


@check
async def a_search_ends_when_all_has_been_looked_at(log: LogUnderTest) -> None:
    await _rooms(log)

    for newest_first in (False, True):
        rest = (await log.page(stretch=Stretch(4, 12), newest_first=newest_first)).rest
        assert rest.is_empty
        none = choosing(room="none")
        page = await log.page(none, stretch=Stretch(4, 12), newest_first=newest_first)
        assert (list(page.frames), page.rest.is_empty) == ([], True)
        page = await log.page(stretch=Stretch(7, 7), newest_first=newest_first)
        assert (list(page.frames), page.rest.is_empty) == ([], True)


@check
async def pages_together_have_every_event_once(log: LogUnderTest) -> None:
    await _rooms(log)

    for limit in (1, 2, 3, 7, 10, 20):
        assert await log.paged(limit=limit) == log.frames(range(1, 21))
        assert await log.paged(limit=limit, newest_first=True) == log.frames(range(20, 0, -1))
        wanted = choosing(room="b")
        assert await log.paged(wanted, limit=limit) == log.frames(range(2, 21, 2))
        backwards = await log.paged(wanted, limit=limit, newest_first=True)
        assert backwards == log.frames(range(20, 0, -2))


@check
async def one_page_is_not_larger_than_one_read_may_be(log: LogUnderTest) -> None:
    third = READ_BYTES_MAX * 2 // 5
    sizes = [third, third, third, READ_BYTES_MAX * 3 // 2, 10, third, third]
    await log.append_in_order(*[event(room="a", size=size) for size in sizes])

    for wanted in (EVERYTHING, choosing(room="a")):
        page = await log.page(wanted, stretch=Stretch(0, 7))
        assert (list(page.frames), page.rest) == (log.frames([1, 2]), Stretch(2, 7))
        page = await log.page(wanted, stretch=Stretch(0, 3), newest_first=True)
        assert (list(page.frames), page.rest) == (log.frames([3, 2]), Stretch(0, 1))
        # What is larger by itself is given all the same.
        assert await log.paged(wanted) == log.frames(range(1, 8))
        assert await log.paged(wanted, newest_first=True) == log.frames(range(7, 0, -1))


@check
async def what_comes_later_is_not_of_the_stretch(log: LogUnderTest) -> None:
    await log.append(*events(6))

    stretch = await log.index.stretch(ALL_TIMES)
    first = await log.page(stretch=stretch, limit=2)
    await log.append(*events(6))

    assert await log.paged(stretch=first.rest, limit=2) == log.frames([3, 4, 5, 6])
    backwards = await log.paged(stretch=stretch, newest_first=True)
    assert backwards == log.frames(range(6, 0, -1))


@check
async def a_stretch_may_be_longer_than_the_log(log: LogUnderTest) -> None:
    await log.append_in_order(*events(3, room="a"), event(), event(room="a"))

    for stretch in (Stretch(2, 1_000_000), Stretch(2, 6)):
        for wanted, numbers in ((EVERYTHING, [3, 4, 5]), (choosing(room="a"), [3, 5])):
            for limit in (1, 10):
                found = await log.paged(wanted, stretch=stretch, limit=limit)
                assert found == log.frames(numbers)
                found = await log.paged(wanted, stretch=stretch, limit=limit, newest_first=True)
                assert found == log.frames(numbers[::-1])
        assert await log.paged(stretch=Stretch(5, stretch.through)) == []


@check
async def a_search_goes_on_over_what_has_been_deleted(log: LogUnderTest) -> None:
    await log.append_in_order(*events(10, at_us=0, room="a"), *events(10, room="a"))
    await log.prune(Retention(60, 2**40))

    for wanted in (EVERYTHING, choosing(room="a")):
        assert await log.paged(wanted, stretch=Stretch(3, 14), limit=3) == log.frames(
            [11, 12, 13, 14]
        )
        backwards = await log.paged(wanted, stretch=Stretch(3, 14), limit=3, newest_first=True)
        assert backwards == log.frames([14, 13, 12, 11])
        for newest_first in (False, True):
            assert await log.paged(wanted, stretch=Stretch(3, 8), newest_first=newest_first) == []


@check
async def bounds_of_time_hold_where_the_clock_was_set_back(log: LogUnderTest) -> None:
    times = [10, 20, 30, 5, 15, 25, 35, 20]
    await log.append_in_order(*[event(at_us=at_us, room="a") for at_us in times])

    # The later bound is outside.
    bounds = TimeBounds(15, 25)
    assert await log.index.stretch(bounds) == Stretch(1, 8)
    for wanted in (EVERYTHING, choosing(room="a")):
        assert await log.paged(wanted, bounds=bounds, limit=1) == log.frames([2, 5, 8])
        backwards = await log.paged(wanted, bounds=bounds, newest_first=True)
        assert backwards == log.frames([8, 5, 2])


_times = st.integers(0, 20)
_bounds = st.builds(TimeBounds, _times, _times | st.just(2**62))


@check_for_any(st.tuples(st.lists(_times, max_size=25), _bounds, st.integers(1, 9)), count=60)
async def a_stretch_has_all_of_a_time_and_no_more(
    log: LogUnderTest, example: tuple[list[int], TimeBounds, int]
) -> None:
    times, bounds, limit = example
    await log.append_in_order(*[event(at_us=at_us) for at_us in times])

    stretch = await log.index.stretch(bounds)

    numbers = log.model.numbers(bounds=bounds)
    if numbers:
        assert stretch == Stretch(numbers[0] - 1, numbers[-1])
    else:
        assert length(stretch) == 0
    for newest_first in (False, True):
        found = await log.paged(bounds=bounds, limit=limit, newest_first=newest_first)
        assert found == log.frames(numbers[:: -1 if newest_first else 1])
