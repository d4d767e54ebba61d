"""Retention: what goes is the oldest, and no more than must; numbers never come again."""

import asyncio
import random

import pytest
from hypothesis import strategies as st

from gateway.journal.errors import OvertakenError
from gateway.journal.events import Appended
from gateway.journal.filter import EVERYTHING
from gateway.journal.reading import Batch, Span
from gateway.journal.retention import Retention
from tests.contract.check import check, check_for_any, slow
from tests.contract.samples import NOW, SECOND_US, choosing, event, events
from tests.contract.under_test import FOR_EVER, LogUnderTest

_ANY_SIZE = 2**40

# Ten seconds of events are kept.
_TEN_S = Retention(10, _ANY_SIZE)


async def _received_at(log: LogUnderTest, *seconds: float) -> None:
    await log.append_in_order(*[event(at_us=round(it * SECOND_US)) for it in seconds])


@check
async def what_is_too_old_is_deleted(log: LogUnderTest) -> None:
    await _received_at(log, 1, 2, 3, 14, 15)

    assert await log.prune(_TEN_S, now=20) == 3
    assert log.index.span == Span(4, 5)
    assert await log.followed() == log.frames([4, 5])
    assert await log.paged() == log.frames([4, 5])
    assert [it.framed for it in await log.index.recent(10, 10_000)] == log.frames([4, 5])
    assert await log.prune(_TEN_S, now=20) == 0
    assert await log.prune(_TEN_S, now=24.5) == 1
    assert log.index.span == Span(5, 5)


@check
async def what_is_within_the_retention_is_kept(log: LogUnderTest) -> None:
    await _received_at(log, 1, 2, 3)

    assert await log.prune(FOR_EVER, now=NOW) == 0
    # To the microsecond.
    assert await log.prune(_TEN_S, now=11) == 0
    assert log.index.span == Span(1, 3)
    assert await log.prune(_TEN_S, now=11.000001) == 1
    assert log.index.span == Span(2, 3)


@check
async def only_the_beginning_is_deleted_where_the_clock_was_set_back(log: LogUnderTest) -> None:
    await _received_at(log, 1, 15, 2, 3)

    assert await log.prune(_TEN_S, now=20) == 1
    assert log.index.span == Span(2, 4)
    assert await log.followed() == log.frames([2, 3, 4])
    assert await log.prune(_TEN_S, now=26) == 3
    assert log.index.span == Span(5, 4)


@check
async def what_is_of_the_future_goes_with_what_follows_it(log: LogUnderTest) -> None:
    await _received_at(log, 1, 1_000, 2, 2_000, 15, 3)

    assert await log.prune(_TEN_S, now=20) == 3
    assert log.index.span == Span(4, 6)
    assert await log.prune(_TEN_S, now=26) == 3


@check
async def what_is_of_the_future_is_kept_while_nothing_old_follows_it(log: LogUnderTest) -> None:
    await _received_at(log, 1_000, 2_000)

    assert await log.prune(_TEN_S, now=20) == 0
    assert log.index.span == Span(1, 2)
    await _received_at(log, 15)
    assert await log.prune(_TEN_S, now=20) == 0
    assert await log.prune(_TEN_S, now=26) == 3


@slow
@check
async def the_oldest_go_while_the_log_is_too_large(log: LogUnderTest) -> None:
    noise = random.Random(5)
    limit = 1024 * 1024
    for _ in range(4):
        await log.append(*[event(raw=noise.randbytes(10_000)) for _ in range(100)])

    deleted = await log.prune(Retention(1e9, limit))

    measures = await log.index.measures()
    assert measures.span == log.index.span == Span(deleted + 1, 400)
    # As much is kept as fits, give or take a quarter.
    assert 3 / 4 * limit < measures.span.count * 10_000 <= limit
    assert measures.size_bytes <= limit
    await log.reopen()
    assert (await log.index.measures()).size_bytes <= limit
    assert await log.followed() == log.frames(range(deleted + 1, 401))


@check
async def numbers_are_never_given_again(log: LogUnderTest) -> None:
    await _received_at(log, 1, 2, 15)
    await log.prune(_TEN_S, now=20)
    assert await log.append(event()) == [Appended(4, False)]

    await log.prune(_TEN_S, now=4e9)

    assert log.journal.span == log.index.span == Span(5, 4)
    assert await log.append(event()) == [Appended(5, False)]
    assert log.index.span == Span(5, 5)


@check
async def numbers_are_never_given_again_after_reopening(log: LogUnderTest) -> None:
    await _received_at(log, 1, 2, 3)
    await log.prune(_TEN_S, now=20)

    for _ in range(2):
        await log.reopen()
        assert log.journal.span == log.index.span == Span(4, 3)
    assert await log.append(event()) == [Appended(4, False)]
    await log.reopen()
    assert log.index.span == Span(4, 4)


@check
async def an_id_may_come_again_when_its_event_has_been_deleted(log: LogUnderTest) -> None:
    await log.append_in_order(event("a", at_us=1, room="old"), event("b"))
    assert await log.prune(_TEN_S) == 1

    again = event("a", room="new", raw=b"again")
    assert await log.append_in_order(event("b"), again) == [Appended(2, True), Appended(3, False)]
    found = await log.index.find("a", EVERYTHING)
    assert found is not None
    assert (found.frame, found.raw) == (log.frames([3])[0].frame, b"again")
    assert await log.append(event("a")) == [Appended(3, True)]
    await log.reopen()
    assert await log.append(event("a")) == [Appended(3, True)]


@check
async def what_has_been_deleted_is_found_by_nothing(log: LogUnderTest) -> None:
    await log.append_in_order(event("a", at_us=1, room="r", raw=b"a"), event("b", room="r"))
    await log.prune(_TEN_S)

    for _ in range(2):
        assert await log.index.find("a", EVERYTHING) is None
        assert await log.index.raw([1, 2], None) == {1: b"", 2: b"{}"}
        assert await log.paged(choosing(room="r")) == log.frames([2])
        assert await log.index.first_received_since(0) == 2
        await log.reopen()


@check
async def who_has_been_overtaken_is_told_so(log: LogUnderTest) -> None:
    await log.append_in_order(*events(5, at_us=1, room="old"), *events(3, room="new"))
    await log.prune(_TEN_S)

    for _ in range(2):
        for after in range(5):
            # Whether what is gone would have matched or not.
            for wanted in (EVERYTHING, choosing(room="new")):
                with pytest.raises(OvertakenError) as overtaken:
                    await log.index.read(after, wanted, 10, EVERYTHING)
                assert overtaken.value.oldest == 6
        assert await log.followed(after=5) == log.frames([6, 7, 8])
        await log.reopen()


@check
async def who_has_been_overtaken_by_all_is_told_where_it_goes_on(log: LogUnderTest) -> None:
    await _received_at(log, 1, 2, 3)
    await log.prune(_TEN_S, now=20)

    for after in range(3):
        with pytest.raises(OvertakenError) as overtaken:
            await log.index.read(after, EVERYTHING, 10, EVERYTHING)
        assert overtaken.value.oldest == 4
    batch = await log.index.read(3, EVERYTHING, 10, EVERYTHING)
    assert (list(batch.frames), batch.through) == ([], 3)


@check
async def who_reads_while_events_are_deleted_misses_none_in_silence(log: LogUnderTest) -> None:
    count = 200
    await log.append_in_order(*[event(at_us=n * SECOND_US) for n in range(1, count + 1)])

    position, told = 0, 0
    for now in range(10, 10 * count, 4):  # two are read while four are deleted
        read, _ = await asyncio.gather(
            log.index.read(position, EVERYTHING, 2, EVERYTHING),
            log.index.prune(_TEN_S, now),
            return_exceptions=True,
        )
        if isinstance(read, OvertakenError):
            assert read.oldest - 1 > position
            position, told = read.oldest - 1, told + 1
        else:
            assert isinstance(read, Batch)
            assert list(read.frames) == log.frames(range(position + 1, read.through + 1))
            position = read.through
        if position == count:
            break
    assert position == count
    assert told


_times = st.lists(st.integers(0, 12), min_size=1, max_size=12)
_prunes = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 20)), min_size=2, max_size=6)


@check_for_any(st.tuples(_times, _prunes), count=60)
async def what_goes_by_age_is_what_the_rule_says(
    log: LogUnderTest, example: tuple[list[int], list[tuple[int, int]]]
) -> None:
    times, prunes = example
    await _received_at(log, *times)

    for age_s, now in prunes:
        oldest = log.model.span.oldest
        through = log.model.expired_through(age_s, now)
        assert await log.prune(Retention(age_s, _ANY_SIZE), now) == through + 1 - oldest
        assert log.index.span == log.model.span == Span(through + 1, len(times))
        assert await log.followed() == log.frames(log.model.numbers())
