"""Index: events by number, by id, and the newest; each exactly as it was stored."""

import asyncio

from gateway.journal.events import Framed
from gateway.journal.filter import EVERYTHING
from gateway.journal.reading import NOBODY, READ_BYTES_MAX, StoredEvent
from tests.contract.check import check
from tests.contract.samples import choosing, event, events
from tests.contract.under_test import PLENTY, LogUnderTest


@check
async def what_append_has_returned_can_be_read(log: LogUnderTest) -> None:
    for number in range(1, 20):
        stored = event(raw=b"%d" % number)
        await log.append(stored)

        frames = log.frames([number])
        batch = await log.index.read(number - 1, EVERYTHING, 10, EVERYTHING)
        assert (list(batch.frames), batch.through) == (frames, number)
        found = await log.index.find(stored.id, EVERYTHING)
        assert found == StoredEvent(frames[0].frame, stored.raw)
        assert [it.framed for it in await log.index.recent(1, PLENTY)] == frames


@check
async def an_empty_log_is_read_like_any_other(log: LogUnderTest) -> None:
    batch = await log.index.read(0, EVERYTHING, 10, EVERYTHING)

    assert (list(batch.frames), batch.through) == ([], 0)
    assert list(await log.index.recent(10, PLENTY)) == []
    assert await log.index.find("a", EVERYTHING) is None


@check
async def reading_begins_after_a_number(log: LogUnderTest) -> None:
    await log.append(*events(12))

    for after in range(13):
        batch = await log.index.read(after, EVERYTHING, PLENTY, EVERYTHING)
        assert list(batch.frames) == log.frames(range(after + 1, 13))
        assert batch.through == 12


@check
async def reading_stops_at_the_limit_and_goes_on_there(log: LogUnderTest) -> None:
    await log.append_in_order(*[event(room="ab"[number % 2]) for number in range(20)])

    batch = await log.index.read(0, EVERYTHING, 3, EVERYTHING)
    assert (list(batch.frames), batch.through) == (log.frames([1, 2, 3]), 3)
    for limit in (1, 2, 7, 10, 11):
        assert await log.followed(limit=limit) == log.frames(range(1, 21))
        wanted = choosing(room="b")
        assert await log.followed(wanted, limit=limit) == log.frames(range(2, 21, 2))


@check
async def reading_goes_past_what_does_not_match(log: LogUnderTest) -> None:
    await log.append_in_order(*events(9, room="a"), event(room="b"), *events(9, room="a"))

    none = await log.index.read(0, choosing(room="c"), 5, EVERYTHING)
    assert (list(none.frames), none.through) == ([], 19)
    hidden = await log.index.read(0, EVERYTHING, 5, choosing(room="c"))
    assert (list(hidden.frames), hidden.through) == ([], 19)
    assert await log.followed(choosing(room="b"), limit=5) == log.frames([10])


@check
async def who_reads_while_others_append_misses_nothing(log: LogUnderTest) -> None:
    async def append() -> None:
        for _ in range(10):
            await log.append(*events(15))

    appending = asyncio.ensure_future(append())
    found: list[Framed] = []
    while not appending.done() or len(found) < log.index.span.newest:
        after = found[-1].sequence if found else 0
        batch = await log.index.read(after, EVERYTHING, 4, EVERYTHING)
        found += batch.frames
        assert batch.through == (found[-1].sequence if found else 0)
        await asyncio.sleep(0)

    await appending
    assert found == log.frames(range(1, 151))


@check
async def a_position_is_never_moved_back(log: LogUnderTest) -> None:
    await log.append(*events(3))

    for after in (3, 4, 100):
        for wanted in (EVERYTHING, choosing(room="a")):
            batch = await log.index.read(after, wanted, 10, EVERYTHING)
            assert (list(batch.frames), batch.through) == ([], after)


@check
async def one_read_is_not_larger_than_it_may_be(log: LogUnderTest) -> None:
    third = READ_BYTES_MAX * 2 // 5
    sizes = [third, third, third, READ_BYTES_MAX * 3 // 2, 10, third, third]
    await log.append_in_order(*[event(room="a", size=size) for size in sizes])

    batch = await log.index.read(0, EVERYTHING, PLENTY, EVERYTHING)
    assert (list(batch.frames), batch.through) == (log.frames([1, 2]), 2)
    # What is larger by itself is read all the same.
    assert await log.followed() == log.frames(range(1, 8))
    assert await log.followed(choosing(room="a")) == log.frames(range(1, 8))


@check
async def the_newest_are_given_oldest_first(log: LogUnderTest) -> None:
    await log.append_in_order(*[event(room=f"r{number}", size=100) for number in range(10)])

    entries = [log.entry(framed) for framed in log.frames(range(1, 11))]
    for limit in (1, 3, 10, 50):
        assert list(await log.index.recent(limit, PLENTY)) == entries[-limit:]
    three = sum(len(it.framed.frame) for it in entries[-3:])
    assert list(await log.index.recent(50, three)) == entries[-3:]
    assert list(await log.index.recent(50, three - 1)) == entries[-2:]
    assert list(await log.index.recent(50, 10)) == []


@check
async def signed_bytes_are_given_by_number_up_and_down(log: LogUnderTest) -> None:
    raws = [bytes([number]) * number for number in range(10)]
    await log.append_in_order(*[event(raw=raw) for raw in raws])

    for asker in (None, NOBODY):
        for numbers in ([1, 2, 3], [9, 5, 2], [4], [10, 8, 7]):
            found = await log.index.raw(numbers, asker)
            assert list(found.items()) == [(it, raws[it - 1]) for it in numbers]


@check
async def signed_bytes_that_are_not_held_are_empty(log: LogUnderTest) -> None:
    await log.append_in_order(event(raw=b"one"), event(raw=b"two"))

    for numbers in ([1, 2, 3, 4], [7, 2, 1], [3], [9, 8]):
        held = {1: b"one", 2: b"two"}
        found = await log.index.raw(numbers, None)
        assert list(found.items()) == [(it, held.get(it, b"")) for it in numbers]


@check
async def as_many_signed_bytes_are_given_as_one_read_may_have(log: LogUnderTest) -> None:
    sizes = [READ_BYTES_MAX // 3, READ_BYTES_MAX // 3, READ_BYTES_MAX * 2, 5, READ_BYTES_MAX, 7, 8]
    raws = {number: b"%d" % number * size for number, size in enumerate(sizes, 1)}
    await log.append_in_order(*[event(raw=raw) for raw in raws.values()])

    for numbers in (list(raws), list(raws)[::-1]):
        found: dict[int, bytes] = {}
        while rest := numbers[len(found) :]:
            some = await log.index.raw(rest, NOBODY)
            assert list(some) == rest[: max(len(some), 1)], "the first ones, at least one"
            size = sum(map(len, some.values()))
            assert size <= READ_BYTES_MAX or len(some) == 1
            following = rest[len(some) :][:1]
            assert size + sum(len(raws[it]) for it in following) > READ_BYTES_MAX or not following
            found |= some
        assert found == raws


@check
async def an_event_is_found_by_its_id(log: LogUnderTest) -> None:
    stored = [event(f"id-{number}", raw=b"%d" % number) for number in range(10)]
    awkward = [
        event(it) for it in ("ID-1", "id-", "id-1 ", "'", "%", "*", "é", "\U0001f600", "a\0b")
    ]
    await log.append_in_order(*stored, *awkward)

    for number, it in enumerate([*stored, *awkward], 1):
        frame = log.frames([number])[0].frame
        assert await log.index.find(it.id, EVERYTHING) == StoredEvent(frame, it.raw)
    for unknown in ("id-10", "i", "", "é ", "a", "a\0"):
        assert await log.index.find(unknown, EVERYTHING) is None
