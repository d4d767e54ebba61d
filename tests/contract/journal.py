"""Journal: each event gets a number, each id one; what is acknowledged is there ever after."""

import asyncio

import pytest

from gateway.journal.errors import LogUnavailableError, OvertakenError
from gateway.journal.events import Appended
from gateway.journal.filter import EVERYTHING
from gateway.journal.ports import EPOCH_BYTES
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from tests.contract.check import check
from tests.contract.samples import SECOND_US, choosing, event, events
from tests.contract.under_test import FOR_EVER, LogUnderTest


@check
async def a_new_log_is_empty_and_well(log: LogUnderTest) -> None:
    assert log.journal.span == log.index.span == Span(1, 0)
    assert log.journal.problem is None
    assert log.index.keys == log.keys


@check
async def numbers_begin_at_one_and_have_no_holes(log: LogUnderTest) -> None:
    alone = await log.append_in_order(*events(3))
    together = await log.append(*events(300))

    assert alone == [Appended(1, False), Appended(2, False), Appended(3, False)]
    assert sorted(together) == [Appended(it, False) for it in range(4, 304)]
    assert log.journal.span == Span(1, 303)


@check
async def a_log_may_begin_at_any_number(log: LogUnderTest) -> None:
    for begins_at in (2, 1_024, 1_025, 5_000):
        later = await log.another(begins_at=begins_at)
        assert later.journal.span == later.index.span == Span(begins_at, begins_at - 1)
        assert (await later.index.measures()).deleted_received_at_us is None

        first = event("first", room="a")
        assert await later.append(first) == [Appended(begins_at, False)]

        numbers = [begins_at]
        await later.reopen()
        assert later.journal.span == Span(begins_at, begins_at)
        assert await later.append_in_order(event("second", room="a"), first) == [
            Appended(begins_at + 1, False),
            Appended(begins_at, True),
        ]
        numbers.append(begins_at + 1)
        assert await later.followed() == later.frames(numbers)
        assert await later.paged(choosing(room="a")) == later.frames(numbers)
        with pytest.raises(OvertakenError) as overtaken:
            await later.index.read(begins_at - 2, EVERYTHING, 1, EVERYTHING)
        assert overtaken.value.oldest == begins_at


@check
async def a_log_that_begins_later_and_is_empty_stays_so(log: LogUnderTest) -> None:
    later = await log.another(begins_at=77)

    await later.reopen()

    assert later.index.span == Span(77, 76)
    assert await later.append(event()) == [Appended(77, False)]


@check
async def numbers_go_on_after_reopening(log: LogUnderTest) -> None:
    await log.append(*events(5))

    await log.reopen()

    assert log.journal.span == Span(1, 5)
    assert await log.append(event()) == [Appended(6, False)]


@check
async def an_id_is_stored_once_whatever_comes_with_it(log: LogUnderTest) -> None:
    first = event("same", room="a", raw=b"first")
    await log.append_in_order(event(), first, event())

    again = event("same", room="b", raw=b"again", at_us=SECOND_US)

    assert await log.append(again) == [Appended(2, True)]
    assert log.journal.span == Span(1, 3)
    assert await log.followed() == log.frames([1, 2, 3])
    assert await log.index.raw([2], None) == {2: b"first"}


@check
async def an_id_is_stored_once_when_it_comes_twice_at_the_same_time(log: LogUnderTest) -> None:
    crowd = [event(f"e{number % 50}") for number in range(200)]

    done = await log.append(*crowd)

    numbers = {it.id: appended.sequence for it, appended in zip(crowd, done, strict=True)}
    assert [it.sequence for it in done] == [numbers[it.id] for it in crowd]
    assert sorted(it.sequence for it in done if not it.duplicate) == list(range(1, 51))
    assert log.journal.span == Span(1, 50)
    assert await log.followed() == log.frames(range(1, 51))


@check
async def new_events_are_stored_beside_known_ones(log: LogUnderTest) -> None:
    await log.append_in_order(event("known-1"), event("known-2"))

    done = await log.append(event("known-2"), *events(100), event("known-1"))

    assert (done[0], done[-1]) == (Appended(2, True), Appended(1, True))
    assert sorted(done[1:-1]) == [Appended(it, False) for it in range(3, 103)]
    assert await log.followed() == log.frames(range(1, 103))


@check
async def an_id_is_known_after_reopening(log: LogUnderTest) -> None:
    await log.append_in_order(event("a"), event("b"))

    await log.reopen()

    assert await log.append_in_order(event("b"), event("c"), event("a")) == [
        Appended(2, True),
        Appended(3, False),
        Appended(1, True),
    ]


@check
async def an_id_is_known_for_as_long_as_its_event_is_held(log: LogUnderTest) -> None:
    await log.append_in_order(event("old", at_us=0), event("kept"), *events(20))
    await log.prune(Retention(60, 2**40))
    assert log.index.span == Span(2, 22)

    assert await log.append(event("kept")) == [Appended(2, True)]
    await log.reopen()
    assert await log.append(event("kept")) == [Appended(2, True)]


@check
async def what_was_appended_is_there_after_reopening(log: LogUnderTest) -> None:
    stored = [event(room=f"r{number}", raw=b"signed \0 %d" % number) for number in range(40)]
    await log.append(*stored)

    await log.reopen()

    assert log.journal.span == log.index.span == log.model.span == Span(1, 40)
    assert await log.followed() == log.frames(range(1, 41))
    raw = {number: it.raw for number, it in log.model.events.items()}
    assert await log.index.raw(range(1, 41), None) == raw


@check
async def closing_stores_what_was_asked_for_before(log: LogUnderTest) -> None:
    crowd = events(30)
    asked = [asyncio.ensure_future(log.journal.append(it)) for it in crowd]
    await asyncio.sleep(0)  # each has begun

    await log.close()

    log.model.take(zip(crowd, await asyncio.gather(*asked), strict=True))
    await log.open()
    assert log.journal.span == log.model.span == Span(1, 30)
    assert await log.followed() == log.frames(range(1, 31))


@check
async def a_closed_log_refuses_events(log: LogUnderTest) -> None:
    await log.append(event("a"))
    journal = log.journal
    await log.close()

    with pytest.raises(LogUnavailableError):
        await journal.append(event("b"))

    await log.open()
    assert log.journal.span == Span(1, 1)


@check
async def a_log_keeps_its_identity(log: LogUnderTest) -> None:
    epoch = log.epoch
    assert len(epoch) == EPOCH_BYTES
    assert log.index.epoch == epoch

    await log.append(*events(3))
    await log.reopen()
    assert (log.epoch, log.index.epoch) == (epoch, epoch)

    await log.prune(Retention(60, 2**40), now=4e9)
    await log.reopen()
    assert log.index.span == Span(4, 3)
    assert (log.epoch, log.index.epoch) == (epoch, epoch)


@check
async def each_log_has_an_identity_of_its_own(log: LogUnderTest) -> None:
    others = [await log.another() for _ in range(3)]

    assert len({it.epoch for it in (log, *others)}) == 4


@check
async def logs_share_nothing(log: LogUnderTest) -> None:
    other = await log.another()
    await log.append(event("a"))
    await log.checkpoints.set("name", b"value")

    assert other.index.span == Span(1, 0)
    assert await other.checkpoints.get("name") is None
    assert await other.append(event("b"), event("a")) == [Appended(1, False), Appended(2, False)]


@check
async def both_ports_tell_the_same_span(log: LogUnderTest) -> None:
    for number in range(1, 6):
        await log.append(event(at_us=number * SECOND_US))
        assert log.journal.span == log.index.span == Span(1, number)

    await log.prune(Retention(60, 2**40), now=63.5)

    assert log.journal.span == log.index.span == Span(4, 5)
    assert await log.prune(FOR_EVER, now=63.5) == 0
    assert log.journal.span == log.index.span == Span(4, 5)
