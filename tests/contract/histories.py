"""Histories: whatever happens to a log, and in whatever order, it is what the model says."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import strategies as st

from gateway.journal.events import Appended, Entry, NewEvent
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.reading import StoredEvent
from gateway.journal.retention import Retention
from tests.contract.check import check_for_any
from tests.contract.model import Model
from tests.contract.samples import SECOND_US, choosing, event, format_of
from tests.contract.under_test import LogUnderTest

_IDS = [f"e{number}" for number in range(8)]


@dataclass(frozen=True, slots=True)
class Burst:
    """Events that are appended at the same time."""

    events: Sequence[NewEvent]


@dataclass(frozen=True, slots=True)
class Prune:
    age_s: int
    now: int


@dataclass(frozen=True, slots=True)
class Reopen:
    version: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    name: str
    value: bytes


_Step: TypeAlias = Burst | Prune | Reopen | Checkpoint

_events = st.builds(
    event,
    st.sampled_from(_IDS),
    at_us=st.integers(0, 12).map(lambda it: it * SECOND_US),
    raw=st.binary(max_size=5),
    room=st.sampled_from(["", "a", "b"]),
    kind=st.sampled_from(["", "k.1", "k.2", "l"]),
)
_steps = st.one_of(
    st.builds(Burst, st.lists(_events, min_size=1, max_size=6)),
    st.builds(Prune, st.integers(0, 8), st.integers(1, 25)),
    st.builds(Reopen, st.sampled_from([1, 2])),
    st.builds(Checkpoint, st.sampled_from("xy"), st.binary(max_size=3)),
)
_filters = st.builds(
    choosing,
    room=st.sampled_from([[], ["a"], ["a", "b"]]),
    kind=st.sampled_from([[], ["k.*"], ["l", "k.1"]]),
)


@check_for_any(
    st.tuples(st.lists(_steps, min_size=5, max_size=14), st.lists(_filters, min_size=2)), count=40
)
async def a_log_is_what_its_history_says(
    log: LogUnderTest, example: tuple[list[_Step], list[Filter]]
) -> None:
    steps, filters = example
    epoch = log.epoch
    told = _told(log)
    since = 1  # whoever listens has done so since this number
    checkpoints: dict[str, bytes] = {}
    for step in steps:
        match step:
            case Burst(burst):
                numbers = dict(_numbers(log.model))
                next_number = log.model.span.newest + 1
                _must_be_new_or_known(burst, await log.append(*burst), numbers, next_number)
            case Prune(age_s, now):
                through = log.model.expired_through(age_s, now)
                gone = through + 1 - log.model.span.oldest
                assert await log.prune(Retention(age_s, 2**40), now) == gone
            case Reopen(version):
                await log.reopen(format_of(version=version))
                told, since = _told(log), log.model.span.newest + 1
            case Checkpoint(name, value):
                checkpoints[name] = value
                await log.checkpoints.set(name, value)
        assert log.journal.span == log.index.span == log.model.span
        newest = log.model.span.newest
        assert [it.framed.sequence for it in told] == list(range(since, newest + 1))
    assert log.epoch == epoch
    for name in "xy":
        assert await log.checkpoints.get(name) == checkpoints.get(name)
    await _holds_what_the_model_does(log, filters)


def _told(log: LogUnderTest) -> list[Entry]:
    told: list[Entry] = []
    log.index.listen(told.extend)
    return told


def _numbers(model: Model) -> list[tuple[str, int]]:
    return [(it.id, number) for number, it in model.events.items()]


def _must_be_new_or_known(
    burst: Sequence[NewEvent],
    done: Sequence[Appended],
    known: dict[str, int],
    next_number: int,
) -> None:
    """Check that each new id was given one number, and that those follow on the newest one."""
    new: defaultdict[str, list[Appended]] = defaultdict(list)
    for it, appended in zip(burst, done, strict=True):
        if it.id in known:
            assert appended == Appended(known[it.id], duplicate=True)
        else:
            new[it.id].append(appended)
    for results in new.values():
        assert len({it.sequence for it in results}) == 1
        assert [it.duplicate for it in results].count(False) == 1
    numbers = sorted(results[0].sequence for results in new.values())
    assert numbers == list(range(next_number, next_number + len(new)))


async def _holds_what_the_model_does(log: LogUnderTest, filters: Sequence[Filter]) -> None:
    numbers = dict(_numbers(log.model))
    for id_ in _IDS:
        found = await log.index.find(id_, EVERYTHING)
        if id_ not in numbers:
            assert found is None
            continue
        frame = log.frames([numbers[id_]])[0].frame
        assert found == StoredEvent(frame, log.model.events[numbers[id_]].raw)
    for wanted in (EVERYTHING, *filters):
        for visible in filters:
            matching = log.model.numbers(wanted, visible)
            assert await log.followed(wanted, visible, limit=4) == log.frames(matching)
            assert await log.paged(wanted, visible, limit=3) == log.frames(matching)
    for moment_us in range(0, 15 * SECOND_US, 2 * SECOND_US):
        assert await log.index.first_received_since(moment_us) == log.model.since(moment_us)
