"""Framing and keys: a log is read in the form, and by the keys, that it has been opened with."""

from collections.abc import Sequence

from gateway.journal.events import Entry
from gateway.journal.filter import EVERYTHING
from gateway.journal.format import EventFormat
from gateway.journal.reading import StoredEvent
from gateway.schema.event_keys import EventKey
from tests.contract.check import check
from tests.contract.samples import KEYS, choosing_by, event, format_of, key
from tests.contract.under_test import ALL_TIMES, PLENTY, LogUnderTest

_CALLER, _ROOM, _KIND = KEYS


async def _fill(log: LogUnderTest, count: int = 6) -> None:
    await log.append_in_order(
        *[
            event(f"id-{n}", room="ab"[n % 2], caller=f"c{n}", kind=f"k.{n % 3}")
            for n in range(count)
        ]
    )


async def _is_read_as_opened(log: LogUnderTest) -> None:
    """Check that all events have the framing's bytes, whatever they are read by."""
    numbers = list(log.model.events)
    frames = log.frames(numbers)
    assert await log.followed() == frames
    assert await log.paged() == frames
    assert await log.paged(newest_first=True) == frames[::-1]
    assert [it.framed for it in await log.index.recent(PLENTY, 10**9)] == frames
    for number, framed in zip(numbers, frames, strict=True):
        stored = log.model.events[number]
        found = await log.index.find(stored.id, EVERYTHING)
        assert found == StoredEvent(framed.frame, stored.raw)


@check
async def readers_get_what_the_framing_makes(log: LogUnderTest) -> None:
    await _fill(log)

    assert len(log.frames([1])[0].frame) > len(log.model.events[1].body)
    await _is_read_as_opened(log)
    await log.reopen()
    await _is_read_as_opened(log)


@check
async def another_framing_gives_all_events_another_form(log: LogUnderTest) -> None:
    await _fill(log)
    # Shorter frames, longer ones, and those of the beginning again.
    for version in (2, 1, 30_001, 1):
        before = log.frames([1])
        await log.reopen(format_of(version=version))

        assert log.frames([1]) != before
        await _is_read_as_opened(log)


@check
async def what_comes_after_another_framing_has_its_form(log: LogUnderTest) -> None:
    await _fill(log)
    await log.reopen(format_of(version=2))
    told: list[Entry] = []
    log.index.listen(told.extend)

    await log.append_in_order(event("later-1"), event("later-2", room="a"))

    assert [it.framed for it in told] == log.frames([7, 8])
    await _is_read_as_opened(log)


@check
async def an_id_is_known_whatever_the_framing(log: LogUnderTest) -> None:
    await _fill(log)

    await log.reopen(format_of(version=2))

    done = await log.append_in_order(event("id-3"), event("id-6"))
    assert [(it.sequence, it.duplicate) for it in done] == [(4, True), (7, False)]


async def _finds_by(log: LogUnderTest, keys: Sequence[EventKey], **values: str) -> list[int]:
    wanted = choosing_by(keys, **values)
    found = await log.followed(wanted)
    assert await log.paged(wanted, stretch=await log.index.stretch(ALL_TIMES)) == found
    return [it.sequence for it in found]


async def _keys_read(log: LogUnderTest) -> list[tuple[str, ...]]:
    return [tuple(it.keys) for it in await log.index.recent(PLENTY, 10**9)]


@check
async def events_are_found_by_keys_declared_later(log: LogUnderTest) -> None:
    async def by(format_: EventFormat) -> None:
        await log.reopen(format_)
        await log.append(event(room="a", caller="x", kind="k.1"))

    few = (_ROOM,)
    await by(format_of(few))
    assert await _finds_by(log, few, room="a") == [1]
    await by(format_of(KEYS))
    for name, value in (("room", "a"), ("caller", "x"), ("kind", "k.*")):
        assert await _finds_by(log, KEYS, **{name: value}) == [1, 2]
    await by(format_of(few))
    await by(format_of(KEYS))
    assert await _finds_by(log, KEYS, caller="x", kind="k.1") == [1, 2, 3, 4]
    assert await _keys_read(log) == [("x", "a", "k.1")] * 4


@check
async def keys_may_be_declared_in_another_order(log: LogUnderTest) -> None:
    turned = (_KIND, key("hall"), _ROOM, _CALLER)
    await log.append(event(room="a", caller="x", kind="k.1"))

    await log.reopen(format_of(turned))
    await log.append(event(room="b", caller="x", kind="k.2"))

    assert log.index.keys == turned
    assert await _finds_by(log, turned, room="a") == [1]
    assert await _finds_by(log, turned, kind="k.*", caller="x") == [1, 2]
    assert await _finds_by(log, turned, hall="a") == []
    assert await _keys_read(log) == [("k.1", "", "a", "x"), ("k.2", "", "b", "x")]


@check
async def a_key_may_begin_to_take_prefixes(log: LogUnderTest) -> None:
    rooms = (_CALLER, key("room", takes_prefixes=True), _KIND)
    await log.append_in_order(event(room="hall-1"), event(room="hall-2"), event(room="attic"))

    await log.reopen(format_of(rooms, version=2))
    await log.append(event(room="hall-3"))

    assert await _finds_by(log, rooms, room="hall-*") == [1, 2, 4]
    await _is_read_as_opened(log)
