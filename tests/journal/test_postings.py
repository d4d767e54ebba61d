"""The index by key: it finds what a scan finds, whatever the filter, and costs what it returns."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import Connection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.format import event_format
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.ports import EventLog
from gateway.journal.reading import Stretch, TimeBounds
from gateway.journal.retention import Retention
from gateway.journal.sqlite import indexing, open_log, postings
from gateway.journal.sqlite.postings import BLOCK, Search
from gateway.schema.event_keys import EventKey
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT, KEYS, choosing, new_event
from tests.harness.loop import LoopThread
from tests.journal.following import followed

EVENTS = 5 * BLOCK + 300
TYPES = ["call.enqueued", "call.dequeued", "conference.created", "conference.ended", "other"]
RETENTION = Retention(1_000, 2**40)


def keys_drawn() -> list[dict[str, str]]:
    """Return the keys of many events: some values that most have, some that hardly any has."""
    drawn = random.Random(7)
    return [
        {
            "type_": drawn.choices(TYPES, [100, 50, 10, 5, 0.05])[0],
            "conference_id": f"c{drawn.randrange(40)}" if drawn.random() < 0.9 else "",
            "call_control_id": f"k{number // 3}",
            "queue_name": "rare" if number % 1_709 == 5 else "",
            "connection_id": drawn.choice(["n1", "n2"]),
        }
        for number in range(EVENTS)
    ]


DRAWN = keys_drawn()


async def filled(path: Path, keys: Sequence[EventKey] = KEYS) -> EventLog:
    clock = ManualClock()
    log = await open_log(path, event_format(keys))
    events = [
        new_event(received_at_us=round((clock.now + number) * 1e6), **values)  # type: ignore[arg-type]
        for number, values in enumerate(DRAWN)
    ]
    for start in range(0, EVENTS, 137):  # so that blocks end within a commit
        cut = [it._replace(keys=it.keys[: len(keys)]) for it in events[start : start + 137]]
        await asyncio.gather(*map(log.journal.append, cut))
    return log


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the log is that the tests have in common."""
    return tmp_path_factory.mktemp("postings") / "events.db"


@pytest.fixture(scope="module")
def log(loop: LoopThread, path: Path) -> Iterator[EventLog]:
    opened = loop.run(filled(path))
    yield opened
    loop.run(opened.close())


def scanned(wanted: Filter, after: int = 0, through: int = EVENTS) -> list[int]:
    names = [key.name if key.name != "type" else "type_" for key in KEYS]
    return [
        number
        for number, values in enumerate(DRAWN, 1)
        if after < number <= through
        and wanted.matches(tuple(values.get(name, "") for name in names))
    ]


async def paged(
    log: EventLog, wanted: Filter, stretch: Stretch, limit: int, newest_first: bool
) -> tuple[list[int], int]:
    """Return all numbers of a search, and in how many steps they were found."""
    found: list[int] = []
    steps = 0
    while not stretch.is_empty:
        page = await log.index.page(
            wanted, TimeBounds(), stretch, limit, EVERYTHING, newest_first=newest_first
        )
        assert len(page.frames) <= limit
        found += [it.sequence for it in page.frames]
        assert page.rest != stretch, "a step goes on"
        stretch = page.rest
        steps += 1
    return found, steps


filters = st.builds(
    choosing,
    type=st.lists(st.sampled_from([*TYPES, "call.*", "conference.*", "c*", "none.*", "none"])),
    conference_id=st.lists(st.sampled_from(["c1", "c2", "c39", "none"])),
    call_control_id=st.lists(st.sampled_from(["k0", "k1", "k700", "k1500", "none"])),
    queue_name=st.lists(st.sampled_from(["rare", "none"])),
    connection_id=st.lists(st.sampled_from(["n1", "n2", "none"])),
)
edges = st.one_of(
    st.integers(0, EVENTS), st.sampled_from([it * BLOCK + d for it in (0, 1, 5) for d in (0, 1)])
)


@pytest.mark.slow
@settings(max_examples=150)
@given(filters, edges, edges, st.sampled_from([1, 3, 100, 1_000]), st.booleans())
def test_a_search_finds_what_a_scan_finds(
    loop: LoopThread,
    log: EventLog,
    wanted: Filter,
    after: int,
    through: int,
    limit: int,
    newest_first: bool,
) -> None:
    found, _ = loop.run(paged(log, wanted, Stretch(after, through), limit, newest_first))

    expected = scanned(wanted, after, through)
    assert found == (expected[::-1] if newest_first else expected)


@pytest.mark.slow
@settings(max_examples=80)
@given(filters, edges, st.sampled_from([3, 256]))
def test_who_catches_up_finds_what_a_scan_finds(
    loop: LoopThread, log: EventLog, wanted: Filter, after: int, limit: int
) -> None:
    assert loop.run(followed(log, wanted, after, limit)) == scanned(wanted, after)


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True])
def test_a_rare_value_is_found_without_looking_through_the_log(
    loop: LoopThread, log: EventLog, newest_first: bool
) -> None:
    rare = choosing(queue_name=["rare"])
    found, steps = loop.run(paged(log, rare, Stretch(0, EVENTS), 100, newest_first))

    assert len(found) == 4
    # One for what is indexed, one for the block that is being filled.
    assert steps == 2


@pytest.fixture
def reading(log: EventLog, path: Path) -> Iterator[Connection]:
    """A connection to the file of the log, which is filled."""
    assert log.index.span.count == EVENTS
    with closing(sqlite3.connect(path)) as connection:
        yield connection


@pytest.mark.slow
@pytest.mark.parametrize("newest_first", [False, True])
def test_only_events_that_match_are_read(
    reading: Connection, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(postings, "_FEW", 0)  # compare even a few, which it is quicker to read
    wanted = choosing(type=["call.*"], conference_id=["c1", "c2"], connection_id=["n1"])
    through = 5 * BLOCK

    numbers, _ = Search(reading, KEYS, wanted.limits).numbers(
        0, through, EVENTS, newest_first=newest_first
    )

    expected = scanned(wanted, 0, through)
    assert expected
    assert numbers == (expected[::-1] if newest_first else expected)


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_step_looks_at_so_many_blocks_and_no_more(
    reading: Connection, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr(postings, "_ROWS_MAX", 6)
    wanted = choosing(queue_name=["none", "as few", "neither"])

    numbers, looked = Search(reading, KEYS, wanted.limits).numbers(
        0, 5 * BLOCK, 10, newest_first=newest_first
    )

    assert numbers == []
    assert looked == (BLOCK if newest_first else 4 * BLOCK)


@pytest.mark.slow
def test_values_that_share_a_hash_are_told_apart(
    loop: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (postings, indexing):
        monkeypatch.setattr(module, "hash_of", lambda name, value: len(value))
    log = loop.run(filled(tmp_path / "events.db"))

    for wanted in (choosing(conference_id=["c1"]), choosing(type=["call.*"], queue_name=["rare"])):
        assert loop.run(followed(log, wanted, 0, 100)) == scanned(wanted)
    loop.run(log.close())


@pytest.mark.slow
def test_retention_takes_the_index_with_it(loop: LoopThread, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    log = loop.run(filled(path))
    loop.run(log.close())
    clock = ManualClock()
    clock.advance(RETENTION.age_s + 3 * BLOCK + 10)
    log = loop.run(open_log(path, FORMAT))

    loop.run(log.index.prune(RETENTION, clock()))  # and its index, in steps

    oldest = log.index.span.oldest
    assert oldest > 3 * BLOCK
    wanted = choosing(type=["call.enqueued"], connection_id=["n1"])
    assert loop.run(followed(log, wanted, oldest - 1, 100)) == scanned(wanted, oldest - 1)
    loop.run(log.close())
    with closing(sqlite3.connect(path)) as connection:
        for table in ("postings", "blocks"):
            (first,) = connection.execute(f"SELECT min(block) FROM {table}").fetchone()
            assert first == postings.block_of(oldest)


@pytest.mark.slow
def test_a_log_that_an_older_gateway_has_written_to_is_indexed_again(
    loop: LoopThread, tmp_path: Path
) -> None:
    path = tmp_path / "events.db"
    loop.run(loop.run(filled(path)).close())

    async def written_to_by(keys: Sequence[EventKey]) -> None:
        log = await open_log(path, event_format(keys))
        for number in range(2):
            event = new_event(id_=f"{len(keys)}-{number}", queue_name="rare")
            await log.journal.append(event._replace(keys=event.keys[: len(keys)]))
        await log.close()

    loop.run(written_to_by(KEYS[:2]))
    loop.run(written_to_by(KEYS))

    log = loop.run(open_log(path, FORMAT))
    wanted = choosing(queue_name=["rare"])
    found = loop.run(followed(log, wanted, 0, 100))
    assert found == [*scanned(wanted), *range(EVENTS + 1, EVENTS + 5)]
    loop.run(log.close())


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        f"UPDATE events SET {KEYS[1].name} = x'ff00' WHERE sequence = 3",
        f"UPDATE events SET {KEYS[1].name} = CAST(x'ff41' AS TEXT) WHERE sequence = 3",
        "UPDATE events SET frame = x'00' WHERE sequence = 3",
        "UPDATE events SET frame = x'' WHERE sequence = 3",
    ],
)
@pytest.mark.parametrize("begun_with", [KEYS[:2], KEYS])
def test_a_damaged_event_keeps_nothing_else_from_being_stored_and_found(
    loop: LoopThread, tmp_path: Path, damage: str, begun_with: Sequence[EventKey]
) -> None:
    path = tmp_path / "events.db"

    async def stored(count: int, keys: Sequence[EventKey]) -> EventLog:
        log = await open_log(path, event_format(keys))
        events = [new_event(queue_name="q", raw=b"x") for _ in range(count)]
        for it in events:
            await log.journal.append(it._replace(keys=it.keys[: len(keys)]))
        return log

    loop.run(loop.run(stored(10, begun_with)).close())
    with closing(sqlite3.connect(path)) as outside:
        outside.execute("PRAGMA ignore_check_constraints = ON")
        with suppress(sqlite3.IntegrityError):  # a STRICT table takes no bytes for a text
            outside.execute(damage)
        outside.commit()

    log = loop.run(stored(BLOCK, KEYS))
    numbers = loop.run(followed(log, choosing(queue_name=["q"]), 3, 100))
    assert numbers == list(range(4, BLOCK + 11))
    loop.run(log.close())


@pytest.mark.slow
@pytest.mark.parametrize("begun_with", [1, 3])
def test_a_log_made_for_other_keys_is_indexed_by_those_declared_now(
    loop: LoopThread, tmp_path: Path, begun_with: int
) -> None:
    path = tmp_path / "events.db"
    loop.run(loop.run(filled(path, KEYS[:begun_with])).close())

    log = loop.run(open_log(path, FORMAT))

    made: list[Callable[[], Filter]] = [
        lambda: choosing(type=["conference.*"], conference_id=["c3"]),
        lambda: choosing(queue_name=["rare"]),
        lambda: choosing(call_control_id=["k700"]),
    ]
    for make in made:
        assert loop.run(followed(log, make(), 0, 100)) == scanned(make())
    recent = loop.run(log.index.recent(10, 10**9))
    assert [it.keys[-1] for it in recent] == [values["type_"] for values in DRAWN[-10:]]
    loop.run(log.close())
