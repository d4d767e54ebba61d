"""Index: events by their keys, and only those that the reader may see."""

from typing import TypeAlias

from hypothesis import strategies as st

from gateway.journal.events import NewEvent
from gateway.journal.filter import EVERYTHING, VALUES_MAX, Filter
from gateway.journal.reading import StoredEvent
from tests.contract.check import check, check_for_any
from tests.contract.samples import KEYS, choosing, event
from tests.contract.under_test import ALL_TIMES, LogUnderTest

# Values that a home may take for something else than what they are.
_AWKWARD = [
    "a",
    "A",
    "a ",
    "aa",
    "a\0",
    "a\0b",
    "\0",
    "%",
    "a%",
    "_",
    "*",
    "a*",
    "'",
    '"',
    "\\",
    "/",
]
_AWKWARD += [
    "é",
    "e\u0301",
    "É",
    "\u00df",
    "ss",
    "\U0001f600",
    "\uffff",
    "x" * 300,
    "0",
    "00",
    "0.0",
]


async def _holds(
    log: LogUnderTest, wanted: Filter, visible: Filter = EVERYTHING, limit: int = 50
) -> list[int]:
    """Check that a filter finds what the model says by every way there is; return what that is."""
    numbers = log.model.numbers(wanted, visible)
    assert await log.followed(wanted, visible, limit=limit) == log.frames(numbers)
    assert await log.paged(wanted, visible, limit=limit) == log.frames(numbers)
    backwards = await log.paged(wanted, visible, limit=limit, newest_first=True)
    assert backwards == log.frames(numbers[::-1])
    return numbers


@check
async def every_key_finds_its_events(log: LogUnderTest) -> None:
    await log.append_in_order(*[event(caller=it) for it in "aba"])
    await log.append_in_order(*[event(room=it) for it in "aba"])
    await log.append_in_order(*[event(kind=it) for it in "aba"], event())

    for place, it in enumerate(KEYS):
        assert await _holds(log, choosing(**{it.name: "a"})) == [3 * place + 1, 3 * place + 3]
        assert await _holds(log, choosing(**{it.name: "none"})) == []


@check
async def one_of_several_values_will_do(log: LogUnderTest) -> None:
    await log.append_in_order(*[event(room=it) for it in "abcabd"], event())

    assert await _holds(log, choosing(room=["a", "c", "none"])) == [1, 3, 4]
    many = [f"none-{number}" for number in range(900)]
    assert await _holds(log, choosing(room=[*many, "d"])) == [6]


@check
async def prefixes_find_what_begins_like_them(log: LogUnderTest) -> None:
    kinds = ["call.begun", "call.ended", "conference.ended", "call", "Call.begun", "recall.begun"]
    await log.append_in_order(*[event(kind=it) for it in kinds], event())

    assert await _holds(log, choosing(kind="call.*")) == [1, 2]
    assert await _holds(log, choosing(kind="c*")) == [1, 2, 3, 4]
    assert await _holds(log, choosing(kind="call.begun*")) == [1]
    assert await _holds(log, choosing(kind=["conference.*", "recall.begun"])) == [3, 6]
    assert await _holds(log, choosing(kind=["call.*", "call.b*", "call.begun"])) == [1, 2]
    assert await _holds(log, choosing(kind="none.*")) == []


@check
async def a_filter_may_have_as_many_values_as_are_allowed(log: LogUnderTest) -> None:
    await log.append_in_order(*[event(room="a", caller="x", kind=f"k.{n}") for n in range(3)])

    # None begins like another one: a filter keeps the shorter of two such prefixes alone.
    many = [f"none-{number:04}" for number in range(VALUES_MAX - 1)]
    values = choosing(room=[*many, "a"], caller=[*many, "x"], kind=[*many, "k.1"])
    assert await _holds(log, values) == [2]
    prefixes = choosing(kind=[f"{it}*" for it in (*many, "k.2")])
    assert await _holds(log, prefixes) == [3]
    assert await _holds(log, values, prefixes) == []
    assert await _holds(log, choosing(room="a"), prefixes) == [3]


@check
async def all_limits_must_hold(log: LogUnderTest) -> None:
    rooms = [(room, caller, kind) for room in "ab" for caller in "xy" for kind in ("k.1", "l")]
    await log.append_in_order(
        *[event(room=room, caller=caller, kind=kind) for room, caller, kind in rooms]
    )

    assert await _holds(log, choosing(room="a", caller="y")) == [3, 4]
    assert await _holds(log, choosing(room="b", kind="k.*")) == [5, 7]
    assert await _holds(log, choosing(room=["a", "b"], caller="x", kind=["l"])) == [2, 6]
    assert await _holds(log, choosing(room="a", caller="none")) == []


@check
async def values_are_compared_to_the_letter(log: LogUnderTest) -> None:
    await log.append_in_order(*[event(room=it, kind=it) for it in _AWKWARD])

    for number, value in enumerate(_AWKWARD, 1):
        assert await _holds(log, choosing(room=value)) == [number]
        if not value.endswith("*"):
            assert await _holds(log, choosing(kind=value)) == [number]
        found = await _holds(log, choosing(kind=f"{value}*"))
        assert found == [n for n, it in enumerate(_AWKWARD, 1) if it.startswith(value)]


@check
async def what_has_no_such_key_is_not_found_by_it(log: LogUnderTest) -> None:
    await log.append_in_order(event(), event(room="a"), event(caller="a"), event(kind="a"))

    assert await _holds(log, choosing(room="a")) == [2]
    assert await _holds(log, choosing(kind=["a", "b*"])) == [4]
    assert await _holds(log, EVERYTHING) == [1, 2, 3, 4]


async def _some_of_two_rooms(log: LogUnderTest) -> None:
    await log.append_in_order(
        *[event(f"id-{n}", room="ab"[n % 2], caller="xyz"[n % 3]) for n in range(12)]
    )


@check
async def reading_gives_only_what_is_visible(log: LogUnderTest) -> None:
    await _some_of_two_rooms(log)
    visible = choosing(room="b")

    assert await log.followed(visible=visible, limit=2) == log.frames(range(2, 13, 2))
    assert await log.followed(choosing(caller="x"), visible) == log.frames([4, 10])
    assert await log.followed(choosing(room="a"), visible) == []
    assert await log.followed(choosing(room=["a", "b"]), visible, limit=3) == log.frames(
        range(2, 13, 2)
    )


@check
async def a_search_gives_only_what_is_visible(log: LogUnderTest) -> None:
    await _some_of_two_rooms(log)
    visible = choosing(room="b")

    for newest_first in (False, True):
        step = -1 if newest_first else 1
        for wanted, numbers in (
            (EVERYTHING, [2, 4, 6, 8, 10, 12]),
            (choosing(caller="x"), [4, 10]),
            (choosing(room="a"), []),
        ):
            found = await log.paged(wanted, visible, limit=2, newest_first=newest_first)
            assert found == log.frames(numbers[::step])


@check
async def an_event_that_is_not_visible_is_not_found(log: LogUnderTest) -> None:
    await _some_of_two_rooms(log)

    for visible in (choosing(room="b"), choosing(room="b", caller=["x", "y"]), choosing(room="c")):
        seen = set(log.model.numbers(visible=visible))
        for number, stored in log.model.events.items():
            found = await log.index.find(stored.id, visible)
            frame = log.frames([number])[0].frame
            assert found == (StoredEvent(frame, stored.raw) if number in seen else None)


_values = st.sampled_from(["a", "a.b", "a.c", "ab", "b", "b\0", "é", ""])
_events = st.builds(event, room=_values, caller=_values, kind=_values)
_asked = st.lists(st.sampled_from(["a", "a.b", "a.c", "b", "b\0", "é", "none"]), max_size=3)
_kinds = st.lists(st.sampled_from(["a", "a.b", "a*", "a.*", "b*", "b\0*", "é*", "n*"]), max_size=3)
_filters = st.builds(choosing, room=_asked, caller=_asked, kind=_kinds)

_Example: TypeAlias = tuple[list[NewEvent], list[tuple[Filter, Filter]], int]


@check_for_any(
    st.tuples(
        st.lists(_events, min_size=3, max_size=20),
        st.lists(st.tuples(_filters, _filters), min_size=4, max_size=8),
        st.integers(1, 5),
    ),
    count=60,
)
async def every_filter_finds_what_it_matches(log: LogUnderTest, example: _Example) -> None:
    stored, filters, limit = example
    # Drawn values may repeat each other, and ids must not.
    await log.append_in_order(*[it._replace(id=f"id-{n}") for n, it in enumerate(stored)])

    for wanted, visible in filters:
        numbers = await _holds(log, wanted, visible, limit)
        both = wanted.within(visible)
        assert numbers == log.model.numbers(both)
        for number, it in log.model.events.items():
            found = await log.index.find(it.id, both)
            assert (found is not None) == (number in numbers)
    assert await log.index.stretch(ALL_TIMES) == log.model.stretch
