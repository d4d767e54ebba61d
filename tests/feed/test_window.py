"""The window: it finds what a scan finds, and keeps no more than it may."""

from collections.abc import Sequence
from typing import ClassVar, cast
from weakref import WeakSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.feed.window import Window
from gateway.journal.events import Entry, Framed, Keys
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.ports import Index
from gateway.journal.reading import Span
from tests.feed.stage import ALL, Stage
from tests.harness.drawn import filters, keys
from tests.harness.events import choosing, keys_of


@given(st.lists(keys, min_size=1, max_size=60), filters, st.data())
def test_the_window_finds_what_a_scan_finds(
    events: list[Keys], wanted: Filter, data: st.DataObject
) -> None:
    window = Window(100, entries_max=8)
    entries = [Entry(Framed(101 + number, b"frame"), event) for number, event in enumerate(events)]
    arrived: list[Entry] = []
    while entries:
        count = data.draw(st.integers(1, len(entries)))
        window.extend(entries[:count])
        arrived += entries[:count]
        position = data.draw(st.integers(window.start, window.newest))
        limit = data.draw(st.integers(1, 30))
        del entries[:count]

        found = window.after(position, wanted, limit)

        scanned = [it for it, keys, _ in arrived if it.sequence > position and wanted.matches(keys)]
        assert found == scanned[:limit]
        held = [it for it, *_ in arrived if it.sequence > window.start]
        assert window.after(window.start, ALL, 100) == held
        assert [it.sequence for it in held] == list(range(window.start + 1, window.newest + 1))
        assert len(held) <= 8


class Value(str):
    """The value of a key, of which can be told whether anything holds it."""


def test_the_window_keeps_no_more_than_its_bounds() -> None:
    held: WeakSet[Value] = WeakSet()
    by_count, by_size = Window(0, entries_max=10), Window(0, entries_max=10**6, bytes_max=1_000)
    for number in range(1, 500):
        conference = Value(f"c{number}")
        held.add(conference)
        keys = keys_of(type="t", conference_id=conference)
        by_count.extend([Entry(Framed(number, bytes(50)), keys)])
        by_size.extend([Entry(Framed(number, bytes(50)), keys_of(type="t"))])
    del conference, keys

    assert by_count.newest - by_count.start <= 10
    assert 750 <= (by_size.newest - by_size.start) * 50 <= 1_000
    # Neither are keys kept that only those had which have gone.
    assert len(held) <= 10


class Number(int):
    """The number of an event, which is taken out of `all` when nothing holds it any more."""

    all: ClassVar[set[int]] = set()

    def __new__(cls, number: int) -> "Number":
        cls.all.add(number)
        return super().__new__(cls, number)

    def __del__(self) -> None:
        self.all.discard(int(self))


def test_of_a_value_that_events_go_on_to_have_the_old_ones_go() -> None:
    window = Window(0, entries_max=10)

    for number in range(1, 500):
        keys = keys_of(type="t", conference_id=f"c{number % 2}")
        window.extend([Entry(Framed(Number(number), b"frame"), keys)])

    found = window.after(window.start, choosing(conference_id=["c1"]), 100)
    held = range(window.start + 1, 500)
    assert [it.sequence for it in found] == [it for it in held if it % 2]
    assert Number.all == set(held)


@pytest.mark.parametrize(
    ("held", "limit", "bytes_max"), [(7, 10, 10**6), (30, 10, 10**6), (9, 10, 300), (0, 10, 10)]
)
def test_a_feed_that_is_opened_again_has_the_newest_events_in_memory(
    stage: Stage, held: int, limit: int, bytes_max: int
) -> None:
    for number in range(held):
        stage.numbered(1, conference_id=f"c{number % 3}")
    stored = stage.run(stage.log.index.read(0, ALL, 100, EVERYTHING)).frames

    window = stage.run(Window.of(stage.log.index, limit, bytes_max))

    fits = [
        it for it in stored if sum(len(o.frame) for o in stored[it.sequence - 1 :]) <= bytes_max
    ]
    expected = fits[-limit:]
    assert window.newest == held
    assert window.start == held - len(expected)
    assert window.after(window.start, ALL, 100) == expected
    wanted = choosing(conference_id=["c1"])
    assert window.after(window.start, wanted, 100) == [
        it for it in expected if it.sequence % 3 == 2
    ]


class Growing:
    """An index that is fed from elsewhere while it is read: each reading finds it grown.

    `steps` are how many events have been stored at the time of each reading, and how many its
    listeners had heard of when it returned.
    """

    def __init__(self, *steps: tuple[int, int]) -> None:
        self._steps = list(steps)
        self.span = Span(1, steps[0][0])

    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        stored, told = self._steps.pop(0)
        self.span = Span(1, told)
        numbers = range(max(1, stored - limit + 1), stored + 1)
        return [Entry(Framed(it, b"%d" % it), keys_of()) for it in numbers][: bytes_max // 2]


@pytest.mark.parametrize(
    "steps",
    [
        [(5, 5)],
        [(5, 7), (7, 7)],
        [(5, 7), (9, 9), (9, 9)],
        [(5, 7), (8, 9), (9, 9)],
        [(7, 5)],
        [(5, 6), (6, 8), (8, 8)],
    ],
    ids=str,
)
def test_an_index_that_grows_while_it_is_read_leaves_no_hole(
    stage: Stage, steps: list[tuple[int, int]]
) -> None:
    index = Growing(*steps)

    window = stage.run(Window.of(cast(Index, index), 4))

    assert window.newest == index.span.newest
    held = [it.sequence for it in window.after(window.start, ALL, 100)]
    assert held == list(range(window.start + 1, window.newest + 1))
    assert held, "it is not empty"


def test_an_index_whose_newest_event_may_not_be_held_leaves_the_window_empty(stage: Stage) -> None:
    window = stage.run(Window.of(cast(Index, Growing((5, 5))), 4, 0))

    assert (window.start, window.newest) == (5, 5)
