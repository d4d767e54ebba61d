"""Thousands of events: an index that works in blocks, or in steps, loses nothing between them."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from gateway.journal.events import Framed, NewEvent
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.reading import Span, Stretch
from gateway.journal.retention import Retention
from tests.contract.check import check, check_for_any, slow
from tests.contract.samples import KEYS, SECOND_US, choosing, choosing_by, event, format_of, key
from tests.contract.under_test import LogUnderTest

_COUNT = 5_400

# Where a home may begin something new: its own blocks, and those of others.
_EDGES = [0, 1, 256, 1_000, 1_023, 1_024, 1_025, 2_000, 2_048, 3_072, 4_096, 5_120, _COUNT]

_KINDS = ["call.begun", "call.ended", "conference.begun", "conference.ended", "other"]


def _drawn(numbers: Sequence[int]) -> list[NewEvent]:
    """Return events with values that most have, and some that hardly any has, a second apart."""
    drawn = random.Random(7)
    return [
        event(
            at_us=number * SECOND_US,
            room="rare" if number % 709 == 5 else drawn.choice(["a", "b", "c", ""]),
            caller=f"c{number // 3}",
            kind=drawn.choices(_KINDS, [100, 50, 10, 5, 0.1])[0],
        )
        for number in numbers
    ]


async def _append(log: LogUnderTest, numbers: Sequence[int], burst: int = 137) -> None:
    made = _drawn(numbers)
    for start in range(0, len(made), burst):  # so that blocks end within a burst
        await log.append(*made[start : start + burst])


async def _grown(log: LogUnderTest) -> None:
    await _append(log, range(1, _COUNT + 1))


async def _aged(log: LogUnderTest) -> None:
    """Make a log that was opened again and pruned on the way, each within a block."""
    await _append(log, range(1, 1_500))
    await log.reopen()
    await _append(log, range(1_500, 5_200), burst=500)
    await log.prune(Retention(1_000, 2**40), now=2_100)
    await log.prune(Retention(1_000, 2**40), now=2_400)
    await log.reopen()
    await _append(log, range(5_200, _COUNT + 1), burst=1)
    assert log.index.span == log.model.span == Span(1_400, _COUNT)


class Question(NamedTuple):
    """What somebody wants of a log."""

    wanted: Filter
    visible: Filter
    after: int
    through: int
    limit: int


# Of events here and there: few enough for a home to compare them one by one.
_CALLERS = ["c1", "c341", "c700", "c1100", "c1400", "c1705", "c1799", "none"]

_places = st.integers(0, _COUNT) | st.sampled_from(_EDGES)
_filters = st.builds(
    choosing,
    room=st.lists(st.sampled_from(["a", "b", "rare", "none"]), max_size=2),
    caller=st.just([]) | st.just(_CALLERS) | st.lists(st.sampled_from(_CALLERS), max_size=3),
    kind=st.lists(st.sampled_from(["call.*", "call.ended", "conf*", "other", "n*"]), max_size=2),
)
_questions = st.builds(
    Question,
    wanted=_filters,
    visible=st.just(EVERYTHING) | _filters,
    after=st.just(0) | _places,
    through=st.just(_COUNT) | _places,
    limit=st.sampled_from([7, 100, 1_000]),
)


async def _answers(log: LogUnderTest, question: Question) -> None:
    wanted, visible, after, through, limit = question
    numbers = log.model.numbers(wanted, visible)
    after = max(after, log.model.span.oldest - 1)

    followed = await log.followed(wanted, visible, after=after, limit=limit)
    assert followed == log.frames(it for it in numbers if it > after)
    within = [it for it in numbers if question.after < it <= through]
    for newest_first in (False, True):
        paged = await log.paged(
            wanted,
            visible,
            stretch=Stretch(question.after, through),
            limit=limit,
            newest_first=newest_first,
        )
        assert paged == log.frames(within[:: -1 if newest_first else 1])


@check_for_any(_questions, count=100, filled=_grown)
async def rare_and_common_events_of_many_are_found(log: LogUnderTest, question: Question) -> None:
    await _answers(log, question)


@check_for_any(_questions, count=100, filled=_aged)
async def rare_and_common_events_of_many_are_found_after_pruning(
    log: LogUnderTest, question: Question
) -> None:
    await _answers(log, question)


@slow
@check
async def a_search_goes_on_where_few_of_some_match(log: LogUnderTest) -> None:
    # Of every hundredth event, which one key finds, another key allows the first and the last.
    few = [event(room="b" if n in (100, 5_100) else "a", caller="x") for n in range(0, 5_200, 100)]
    made = [few[n // 100] if n % 100 == 0 else event(room="b") for n in range(1, 5_200)]
    for start in range(0, len(made), 500):
        await log.append(*made[start : start + 500])

    wanted = choosing(room="b", caller="x")
    numbers = log.model.numbers(wanted)
    assert len(numbers) == 2
    for through in (5_100, 5_120, 5_199):
        for limit in (1, 5, 100):
            assert await log.followed(wanted, limit=limit) == log.frames(numbers)
            for newest_first in (False, True):
                paged = await log.paged(
                    wanted, stretch=Stretch(0, through), limit=limit, newest_first=newest_first
                )
                assert paged == log.frames(numbers[:: -1 if newest_first else 1])


def _assert_same(found: Sequence[Framed], wanted: Sequence[Framed]) -> None:
    """Check that two are the same, without the difference of thousands, which takes long."""
    pairs = zip(found, wanted, strict=False)
    differing = [one.sequence for one, other in pairs if one != other]
    assert (len(found), differing[:3]) == (len(wanted), [])


@slow
@check
async def many_events_take_other_forms_and_keys(log: LogUnderTest) -> None:
    few = KEYS[:1]
    await log.reopen(format_of(few))
    await _append(log, range(1, 1_400))
    # Version and keys at the same time.
    await log.reopen(format_of(version=2))
    await _append(log, range(1_400, 1_500))

    _assert_same(await log.followed(limit=500), log.frames(range(1, 1_500)))
    for wanted in (choosing(room="rare"), choosing(kind="conf*", room=["a", "b"])):
        numbers = log.model.numbers(wanted)
        assert len(numbers) > 2
        assert await log.followed(wanted, limit=10) == log.frames(numbers)
        assert await log.paged(wanted, newest_first=True) == log.frames(numbers[::-1])
    rooms = (KEYS[0], key("room", takes_prefixes=True), KEYS[2])
    await log.reopen(format_of(rooms, version=2))
    rare = log.model.numbers(choosing(room="rare"))
    assert await log.followed(choosing_by(rooms, room="ra*")) == log.frames(rare)
    await log.reopen(format_of(few, version=3))
    assert await log.paged(choosing_by(few, caller="c341")) == log.frames([1_023, 1_024, 1_025])


@slow
@check
async def many_events_go_by_the_same_rule_as_few(log: LogUnderTest) -> None:
    def received_at(seconds: int, count: int) -> list[NewEvent]:
        return [event(at_us=seconds * SECOND_US) for _ in range(count)]

    # Old ones, then some of the future, at the end of the first thousand and further on.
    await log.append(*received_at(1, 990))
    await log.append(*received_at(1_000, 300))
    await log.append(*received_at(15, 10))
    await log.append(*received_at(1, 1_300))

    ten_s = Retention(10, 2**40)
    assert await log.prune(ten_s, now=20) == 990
    assert log.index.span == Span(991, 2_600)
    assert await log.prune(ten_s, now=26) == 1_610
    assert log.index.span == Span(2_601, 2_600)
    assert (await log.index.measures()).deleted_received_at_us == 15 * SECOND_US


@slow
@check
async def a_large_part_of_many_events_is_read_in_pieces(log: LogUnderTest) -> None:
    # A hundred and fifty of them are as much as two reads may return.
    await log.append(*[event(room="ab"[n % 7 == 0], size=14_000) for n in range(1_050)])

    wanted = choosing(room="b")
    numbers = log.model.numbers(wanted)
    assert await log.followed(wanted) == log.frames(numbers)
    for newest_first in (False, True):
        paged = await log.paged(wanted, newest_first=newest_first)
        assert paged == log.frames(numbers[:: -1 if newest_first else 1])


@slow
@check
async def the_last_of_a_large_burst_is_there(log: LogUnderTest) -> None:
    told: list[int] = []
    log.index.listen(lambda entries: told.extend(it.framed.sequence for it in entries))

    await log.append(*_drawn(range(1, 1_026)))

    assert log.journal.span == log.index.span == Span(1, 1_025)
    assert told == list(range(1, 1_026))
    await log.reopen()
    assert await log.followed() == log.frames(range(1, 1_026))
    assert [it.duplicate for it in await log.append(*log.model.events.values())] == [True] * 1_025
