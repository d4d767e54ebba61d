"""The log on SQLite: durable, in order, each event once, and no more than it should keep."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from conferencing.v1.event_pb2 import Event
from gateway.feed.frames import event_of
from gateway.journal.cursor import Cursor
from gateway.journal.errors import LogOpenError, LogUnavailableError, OvertakenError
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.reading import Span
from gateway.journal.retention import Retention
from gateway.journal.sqlite.schema import PAGE_BYTES
from tests.harness.clock import ManualClock
from tests.harness.events import choosing, new_event
from tests.harness.logs import DAY, PLENTY, OpenLog, ids
from tests.harness.loop import LoopThread


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def opened(loop: LoopThread, tmp_path: Path, clock: ManualClock) -> Iterator[OpenLog]:
    log = OpenLog(loop, tmp_path / "deep" / "events.db", clock, PLENTY)
    yield log
    log.close()


def test_events_are_numbered_from_one_without_holes(opened: OpenLog) -> None:
    assert opened.append(*[new_event() for _ in range(3)]) == [(1, False), (2, False), (3, False)]
    assert opened.append(new_event()) == [(4, False)]
    assert opened.index.span == Span(1, 4)


def test_an_id_is_stored_once_within_a_group_and_across_groups(opened: OpenLog) -> None:
    same = [new_event(id_="same"), new_event(id_="same"), new_event(id_="other")]

    assert opened.append(*same) == [(1, False), (1, True), (2, False)]
    assert opened.append(new_event(id_="same")) == [(1, True)]
    opened.reopen()
    assert opened.append(new_event(id_="same"), new_event(id_="new")) == [(1, True), (3, False)]


def test_what_was_appended_is_there_after_reopening(opened: OpenLog) -> None:
    opened.append(new_event(id_="a", raw=b"raw"), new_event(id_="b"))
    epoch = opened.journal.epoch

    opened.reopen()

    assert opened.journal.epoch == epoch
    assert ids(opened.read()) == ["a", "b"]
    assert opened.run(opened.index.raw([1], None)) == {1: b"raw"}


def test_a_stored_event_knows_its_place(opened: OpenLog) -> None:
    opened.append(new_event(), new_event())

    event = Event.FromString(event_of(opened.read()[1].frame))

    assert event.sequence == 2
    assert Cursor.parse(event.cursor) == Cursor(opened.journal.epoch, 2)


def test_two_logs_have_different_identities(
    opened: OpenLog, loop: LoopThread, tmp_path: Path
) -> None:
    other = OpenLog(loop, tmp_path / "other.db", ManualClock(), PLENTY)

    assert other.journal.epoch != opened.journal.epoch
    other.close()


def test_listeners_hear_of_events_before_the_append_returns(opened: OpenLog) -> None:
    heard: list[int] = []
    opened.index.listen(lambda entries: heard.extend(it.framed.sequence for it in entries))

    async def append_and_look() -> list[int]:
        await opened.journal.append(new_event())
        return list(heard)

    assert opened.run(append_and_look()) == [1]


def test_reading_stops_at_the_limit_and_goes_on_after_it(opened: OpenLog) -> None:
    opened.append(*[new_event() for _ in range(5)])

    first = opened.run(opened.index.read(0, EVERYTHING, 2, EVERYTHING))
    rest = opened.run(opened.index.read(first.through, EVERYTHING, 10, EVERYTHING))

    assert [entry.sequence for entry in first.frames] == [1, 2]
    assert [entry.sequence for entry in rest.frames] == [3, 4, 5]
    assert rest.through == 5


def test_reading_goes_past_what_does_not_match(opened: OpenLog) -> None:
    opened.append(*[new_event(conference_id="a") for _ in range(3)])

    batch = opened.run(opened.index.read(0, choosing(conference_id="b"), 10, EVERYTHING))

    assert (list(batch.frames), batch.through) == ([], 3)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (choosing(type=["a.b"]), [1]),
        (choosing(type=["a.*"]), [1, 2]),
        (choosing(type=["a._*"]), []),
        (choosing(type=["x", "a.c*"]), [2, 3]),
        (choosing(conference_id=["c1", "c2"]), [1, 2]),
        (choosing(conference_id=["c1"], type=["x"]), []),
        (choosing(queue_name=["q"]), [3]),
        (choosing(call_control_id=["k"]), [1]),
        (choosing(call_session_id=["s"]), [2]),
        (choosing(connection_id=["n"]), [3]),
    ],
)
def test_filters_choose_in_the_log_what_they_choose_in_memory(
    opened: OpenLog, wanted: Filter, found: list[int]
) -> None:
    events = (
        new_event("a.b", conference_id="c1", call_control_id="k"),
        new_event("a.c", conference_id="c2", call_session_id="s"),
        new_event("x", queue_name="q", connection_id="n"),
    )
    opened.append(*events)

    assert [entry.sequence for entry in opened.read(wanted=wanted)] == found
    matching = [number for number, it in enumerate(events, 1) if wanted.matches(it.keys)]
    assert matching == found


def test_the_first_since_a_time_is_found_even_if_the_clock_went_back(opened: OpenLog) -> None:
    opened.append(*[new_event(received_at_us=at) for at in (100, 200, 50, 210)])

    since = opened.index.first_received_since
    assert [opened.run(since(at)) for at in (0, 60, 150, 205, 999)] == [1, 1, 2, 4, 5]


def test_a_crowd_is_stored_whole_in_order_and_once(opened: OpenLog) -> None:
    crowd = [new_event(id_=f"e{number}") for number in range(300)]

    opened.append(*crowd)
    opened.append(*crowd, *crowd[::-1], new_event(id_="last"), *crowd)

    stored = [Event.FromString(event_of(it.frame)) for it in opened.read()]
    assert [it.id for it in stored] == [*(f"e{number}" for number in range(300)), "last"]
    assert [it.sequence for it in stored] == list(range(1, 302))


def test_when_the_newest_deleted_event_was_received_is_remembered(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "events.db"
    log = OpenLog(loop, path, clock, Retention(100, 2**40))
    assert log.measures().deleted_received_at_us is None
    second_us = round(clock.now * 1e6)
    log.append(*[new_event(received_at_us=second_us + number) for number in (0, 7, 3)])
    clock.advance(1_000)
    log.prune()
    log.close()

    again = OpenLog(loop, path, clock, Retention(100, 2**40))
    assert again.measures().deleted_received_at_us == second_us + 7
    again.close()


def test_an_event_is_found_by_its_id(opened: OpenLog) -> None:
    opened.append(new_event(id_="a"), new_event(id_="b", raw=b"signed"))

    stored = opened.run(opened.index.find("b", EVERYTHING))
    assert stored is not None

    event = Event.FromString(event_of(stored.frame))
    assert (event.sequence, stored.raw) == (2, b"signed")
    assert opened.run(opened.index.find("c", EVERYTHING)) is None


def test_old_events_are_deleted_and_numbers_go_on(opened: OpenLog, clock: ManualClock) -> None:
    def now_us() -> int:
        return round(clock.now * 1e6)

    opened.append(*[new_event(id_=f"old-{n}", received_at_us=now_us()) for n in range(3)])
    clock.advance(6 * DAY)
    opened.append(new_event(id_="young", received_at_us=now_us()))
    clock.advance(2 * DAY)

    assert opened.prune() == 3
    assert opened.index.span == Span(4, 4)
    clock.advance(7 * DAY)
    assert opened.prune() == 1
    assert opened.index.span == Span(5, 4)
    opened.reopen()
    assert opened.index.span == Span(5, 4)
    assert opened.append(new_event(id_="old-0", received_at_us=now_us())) == [(5, False)]


def test_the_oldest_go_while_the_file_is_too_large(loop: LoopThread, tmp_path: Path) -> None:
    path, size = tmp_path / "events.db", 2**20
    opened = OpenLog(loop, path, ManualClock(), Retention(7 * DAY, size))
    now_us = round(ManualClock().now * 1e6)
    for _ in range(4):
        opened.append(*[new_event(received_at_us=now_us, raw=bytes(10_000)) for _ in range(100)])

    opened.prune()

    info = opened.measures()
    # As much as fits is kept, and a sixteenth is left free for what comes.
    assert info.span.newest == 400
    assert 0.85 * size < info.span.count * 10_500 < 0.95 * size
    assert info.size_bytes <= size
    assert path.stat().st_size <= size
    opened.reopen()
    assert opened.measures().span == info.span
    opened.close()


def test_a_retention_below_the_least_keeps_some_events_all_the_same(
    loop: LoopThread, tmp_path: Path
) -> None:
    opened = OpenLog(loop, tmp_path / "events.db", ManualClock(), Retention(7 * DAY, 1))
    now_us = round(ManualClock().now * 1e6)
    opened.append(*[new_event(received_at_us=now_us, raw=bytes(1_000)) for _ in range(500)])

    opened.prune()

    assert opened.index.span.count > 50
    opened.close()


def test_what_is_asked_between_appends_has_its_turn(opened: OpenLog) -> None:
    async def all_at_once() -> list[int]:
        appends = [
            asyncio.ensure_future(opened.journal.append(new_event(id_=f"e{number}")))
            for number in range(3)
        ]
        asked = asyncio.gather(opened.pruning(), opened.checkpoints.set("it", b"5"))
        appends += [asyncio.ensure_future(opened.journal.append(new_event(id_="e3")))]
        await asked
        return [it.sequence for it in await asyncio.gather(*appends)]

    assert opened.run(all_at_once()) == [1, 2, 3, 4]
    assert opened.run(opened.checkpoints.get("it")) == b"5"


def test_the_size_is_that_of_the_file(opened: OpenLog, tmp_path: Path) -> None:
    sizes = []
    for _ in range(3):
        opened.append(*[new_event(raw=bytes(10_000)) for _ in range(50)])
        sizes.append(opened.measures().size_bytes)
        opened.reopen()
        assert opened.measures().size_bytes == sizes[-1]
        assert (tmp_path / "deep" / "events.db").stat().st_size == sizes[-1]

    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("count", [1, 16, 17, 64, 150])
def test_a_group_with_a_known_event_is_stored_without_it(opened: OpenLog, count: int) -> None:
    opened.append(new_event(id_="known"))

    group = [new_event(id_=f"new-{number}") for number in range(count)]
    stored = opened.append(*group, new_event(id_="known"), new_event(id_="new-0"))

    numbers = [(number, False) for number in range(2, 2 + count)]
    assert stored == [*numbers, (1, True), (2, True)]
    assert [it.sequence for it in opened.read()] == list(range(1, 2 + count))
    opened.reopen()
    assert opened.append(new_event(id_="next")) == [(2 + count, False)]


def test_only_the_beginning_is_deleted_even_if_the_clock_went_back(
    opened: OpenLog, clock: ManualClock
) -> None:
    now = round(clock.now * 1e6)
    opened.append(new_event(received_at_us=now), new_event(received_at_us=0))

    assert opened.prune() == 0
    assert opened.index.span == Span(1, 2)


def test_a_read_after_what_is_deleted_says_what_is_the_oldest(
    opened: OpenLog, clock: ManualClock
) -> None:
    opened.append(new_event(), new_event(received_at_us=round(clock.now * 1e6)))
    opened.prune()

    with pytest.raises(OvertakenError) as raised:
        opened.read(0)

    assert raised.value.oldest == 2
    assert [it.sequence for it in opened.read(1)] == [2]


def test_the_info_tells_how_far_the_log_reaches(opened: OpenLog) -> None:
    empty = opened.measures()
    assert (empty.span.count, empty.oldest_received_at_us) == (0, None)

    opened.append(new_event(received_at_us=5), new_event(received_at_us=9))

    info = opened.measures()
    assert (info.span.count, opened.log.home) == (2, "sqlite")
    assert (info.oldest_received_at_us, info.newest_received_at_us) == (5, 9)
    assert info.size_bytes >= empty.size_bytes > 0


def test_a_second_gateway_is_kept_out(opened: OpenLog, loop: LoopThread, tmp_path: Path) -> None:
    with pytest.raises(LogOpenError, match="another gateway is using"):
        OpenLog(loop, tmp_path / "deep" / "events.db", ManualClock(), PLENTY)


def test_another_programs_database_is_left_alone(loop: LoopThread, tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()

    with pytest.raises(LogOpenError, match="another program"):
        OpenLog(loop, path, ManualClock(), PLENTY)


def test_a_file_that_is_no_database_is_named(loop: LoopThread, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 100)

    with pytest.raises(LogOpenError, match=r"notes\.txt"):
        OpenLog(loop, path, ManualClock(), PLENTY)


def test_a_newer_log_is_not_touched(opened: OpenLog, tmp_path: Path) -> None:
    opened.close()
    connection = sqlite3.connect(tmp_path / "deep" / "events.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()

    with pytest.raises(LogOpenError, match="version 99"):
        opened.open()


def test_a_failed_write_is_reported_and_the_numbering_goes_on(
    opened: OpenLog, tmp_path: Path
) -> None:
    opened.append(new_event(id_="a"))
    # What a full disk looks like to SQLite: no page more than there are.
    opened.connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(LogUnavailableError, match="full"):
        opened.append(*[new_event(raw=bytes(20_000)) for _ in range(50)])
    opened.connection.execute("PRAGMA max_page_count = 1073741823")

    assert opened.index.span == Span(1, 1)
    assert opened.append(new_event(id_="b")) == [(2, False)]
    assert ids(opened.read()) == ["a", "b"]


def test_a_closed_log_is_one_file(opened: OpenLog, tmp_path: Path) -> None:
    opened.append(new_event(id_="a"))
    opened.read()

    opened.close()

    names = {path.name for path in (tmp_path / "deep").iterdir()}
    assert names == {"events.db", "events.db.lock"}


def test_a_closed_log_says_so(opened: OpenLog) -> None:
    opened.close()

    with pytest.raises(LogUnavailableError, match="closed"):
        opened.append(new_event())
    with pytest.raises(LogUnavailableError, match="closed"):
        opened.read()


def test_commits_are_synchronised_to_disk(opened: OpenLog) -> None:
    connection = opened.connection

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_log_keeps_the_pages_that_it_was_made_with(
    loop: LoopThread, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page_bytes(log: OpenLog) -> int:
        found: int = log.connection.execute("PRAGMA page_size").fetchone()[0]
        return found

    monkeypatch.setattr("gateway.journal.sqlite.schema.PAGE_BYTES", 4_096)
    older = OpenLog(loop, tmp_path / "older.db", clock, PLENTY)
    assert older.append(new_event(id_="a")) == [(1, False)]
    monkeypatch.undo()

    older.reopen()
    assert page_bytes(older) == 4_096
    assert older.append(new_event(id_="b"), new_event(id_="a")) == [(2, False), (1, True)]
    assert [it.sequence for it in older.read()] == [1, 2]
    older.close()

    newer = OpenLog(loop, tmp_path / "newer.db", clock, PLENTY)
    assert page_bytes(newer) == PAGE_BYTES
    newer.close()
