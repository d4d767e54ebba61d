"""The check of a log: every kind of fault is found and named, and a log that is right has none."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import Event
from gateway.feed.format import stored_event
from gateway.feed.frames import body_of, event_of
from gateway.ingest.backfill.complete import CHECKPOINT, read_complete
from gateway.journal.content import Content
from gateway.journal.cursor import Cursor
from gateway.journal.errors import LogError
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.findings import WORDS_MAX, Report
from gateway.journal.retention import Retention
from gateway.journal.sqlite.checking import check_log
from gateway.journal.sqlite.postings import BLOCK
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT, KEYS, choosing, new_event
from tests.harness.logs import PLENTY, OpenLog
from tests.harness.loop import LoopThread

CONTENT = Content(FORMAT, stored_event(KEYS), body_of, {CHECKPOINT: read_complete})
PERIOD = b'{"version": 1, "since_us": 5, "until_us": 7}'


def check(path: Path) -> Report:
    return check_log(path, CONTENT)


def said(path: Path) -> str:
    return "\n".join(f"{part}: {text}" for part, text in check(path).findings)


def fill(log: OpenLog, count: int, first: int = 1) -> None:
    log.append(
        *[
            new_event(id_=f"e{n}", conference_id=f"c{n % 7}", raw=b'{"n":%d}' % n)
            for n in range(first, first + count)
        ]
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, loop: LoopThread) -> Path:
    """A closed log of two indexed blocks and some more events, the first of them deleted."""
    path = tmp_path_factory.mktemp("whole") / "events.db"
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    fill(log, 2 * BLOCK + 100)
    log.run(log.checkpoints.set(CHECKPOINT, PERIOD))
    log.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM events WHERE sequence <= 10")
        connection.execute("UPDATE meta SET value = 10 WHERE key = 'pruned_through'")
        connection.commit()
    return path


@pytest.fixture
def log_file(whole: Path, tmp_path: Path) -> Path:
    path = tmp_path / "events.db"
    shutil.copyfile(whole, path)
    path.chmod(0o600)
    return path


def test_a_log_that_is_right_has_no_faults(log_file: Path) -> None:
    report = check(log_file)

    assert report.findings == ()
    assert report.faults == 0
    assert report.span is not None
    assert (report.span.oldest, report.span.newest) == (11, 2 * BLOCK + 100)
    assert report.events == report.span.count
    assert report.without_checksum == 0


def test_a_check_changes_nothing(log_file: Path) -> None:
    before = log_file.read_bytes()

    check(log_file)

    assert log_file.read_bytes() == before


def test_a_log_is_checked_while_events_are_stored_and_deleted(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "events.db"
    log = OpenLog(loop, path, clock, Retention(100, 2**40))
    fill(log, 3 * BLOCK)
    steps: list[int] = []

    def told(doing: str, done: int, of: int) -> None:
        if doing == "checking events":
            steps.append(done)
            fill(log, BLOCK, first=(3 + len(steps)) * BLOCK)
            if len(steps) == 2:
                clock.advance(1_000)
                log.prune()

    report = check_log(path, CONTENT, told)

    assert len(steps) == 4
    assert report.findings == ()
    log.close()


@pytest.fixture
def broken(log_file: Path) -> Iterator[sqlite3.Connection]:
    """The log, for a test to break with statements."""
    with closing(sqlite3.connect(log_file)) as connection:
        yield connection


_NEXT = "SELECT frame FROM events WHERE sequence = 51"
_NO_EVENT = "frame = x'ffffff', head = 0, tail = 0"

FAULTS = {
    "DELETE FROM events WHERE sequence = 500": r"events: event 500 is missing",
    "DELETE FROM events WHERE sequence BETWEEN 40 AND 49": r"events: events 40 to 49 are missing",
    "DELETE FROM events WHERE sequence <= 20": r"events: events 11 to 20 are missing",
    f"DELETE FROM events WHERE sequence <= {BLOCK}": r"events: events 11 to 1024 are missing",
    "UPDATE meta SET value = 5 WHERE key = 'pruned_through'": r"events: events 6 to 10 are missing",
    "UPDATE meta SET value = -5 WHERE key = 'pruned_through'": r"says of itself is negative",
    "UPDATE meta SET value = x'0102' WHERE key = 'epoch'": r"its epoch has 2 bytes instead of 8",
    "UPDATE meta SET value = x'0102030405060708' WHERE key = 'epoch'": r"event 11: its frame has",
    "UPDATE meta SET value = 'x' WHERE key = 'folded'": r"says of itself cannot be read",
    "DELETE FROM meta": r"says of itself cannot be read: it lacks epoch",
    "UPDATE events SET id = 'x' WHERE sequence = 50": r"event 50: it is stored under the id 'x'",
    "UPDATE events SET received_at_us = 5 WHERE sequence = 50": r"event 50: its time of receipt",
    "UPDATE events SET conference_id = 'x' WHERE sequence = 50": r"event 50: its keys are not",
    "UPDATE events SET raw = x'7b' WHERE sequence = 50": r"event 50: its bytes .*checksum",
    "UPDATE events SET checksum = 5 WHERE sequence = 50": r"event 50: its bytes .*checksum",
    "UPDATE events SET head = 5000 WHERE sequence = 50": r"event 50: its frame is shorter",
    "UPDATE events SET head = -1 WHERE sequence = 50": r"event 50: its frame is shorter",
    f"UPDATE events SET frame = ({_NEXT}) WHERE sequence = 50": r"its frame has another number",
    "UPDATE events SET head = head + 1 WHERE sequence = 50": r"event 50: its bytes .*checksum",
    f"UPDATE events SET {_NO_EVENT} WHERE sequence = 50": r"event 50: its body cannot be read",
    "DELETE FROM blocks WHERE block = 0": r"index: the events 1 to 1024 are in no index",
    "UPDATE blocks SET hashes = x'0102' WHERE block = 1": r"index: .*1025 to 2048 cannot be read",
    "UPDATE blocks SET hashes = x'' WHERE block = 1": r"index: of the events 1025 to 2048 it has",
    "DELETE FROM postings WHERE block = 1": r"index: of the events 1025 to 2048 it has",
    "UPDATE postings SET places = x'0001' WHERE block = 1": r"index: of the .* others for a value",
    "UPDATE postings SET places = x'01' WHERE block = 1": r"index: of the .* others for a value",
    "DELETE FROM key_values": r"index: the value '.*' of type is missing",
    "INSERT INTO checkpoints VALUES ('other', x'')": r"checkpoints: .* the name 'other'",
    "UPDATE checkpoints SET value = x'5b'": r"checkpoints: 'complete' cannot be read",
    "PRAGMA application_id = 5": r"another program's database",
    "PRAGMA user_version = 3": r"it has version 3, this gateway reads",
    "DROP TABLE checkpoints": r"checkpoints: they cannot be read",
    "DROP TABLE events": r"events: they cannot be read",
    "DROP TABLE postings": r"events: .* cannot be read",
}


@pytest.mark.parametrize(("statement", "says"), FAULTS.items(), ids=list(FAULTS))
def test_each_fault_is_named(
    broken: sqlite3.Connection, log_file: Path, statement: str, says: str
) -> None:
    broken.execute(statement)
    broken.commit()
    broken.close()

    assert re.search(says, said(log_file)), said(log_file)


def test_two_events_with_one_id_are_found(log_file: Path) -> None:
    # In the table and in its index: only that both have it twice is wrong then.
    log_file.write_bytes(re.sub(rb"e61(?!\d)", b"e60", log_file.read_bytes()))

    assert "non-unique entry in index" in said(log_file)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (Path.unlink, "cannot be read: No such file"),
    "a folder": (a_folder, "is no regular file"),
    "empty": (lambda it: os.truncate(it, 0), "is empty"),
    "cut off": (lambda it: os.truncate(it, 20 * 8_192 + 100), "database: "),
    "a text": (lambda it: it.write_text("hello" * 1_000), "is no SQLite database"),
    "readable": (lambda it: it.chmod(0o644), "is open to others (mode 644)"),
    "linked": (lambda it: os.link(it, it.with_name("other")), "has 2 names"),
    "lock": (lambda it: it.with_name("events.db.lock").touch(0o666), "events.db.lock is open"),
    "a link": (lambda it: it.with_name("events.db.lock").symlink_to("x"), "is a symbolic link"),
}


@pytest.mark.parametrize(("change", "says"), CHANGES.values(), ids=CHANGES)
def test_each_fault_of_the_files_is_named(
    log_file: Path, change: Callable[[Path], object], says: str
) -> None:
    change(log_file)

    assert says in said(log_file)


def test_many_faults_are_counted(broken: sqlite3.Connection, log_file: Path) -> None:
    broken.execute("UPDATE events SET checksum = 5")
    broken.commit()
    broken.close()

    report = check(log_file)

    assert report.faults == report.events
    assert len(report.findings) == WORDS_MAX


def test_events_of_an_older_gateway_are_right_without_a_checksum(
    loop: LoopThread, broken: sqlite3.Connection, log_file: Path
) -> None:
    broken.execute("ALTER TABLE events DROP COLUMN checksum")
    broken.commit()
    broken.close()
    report = check(log_file)
    assert (report.faults, report.without_checksum) == (0, report.events)

    log = OpenLog(loop, log_file, ManualClock(), PLENTY)
    log.append(new_event())
    log.close()

    later = check(log_file)
    assert (later.faults, later.without_checksum) == (0, report.events)
    assert later.events == report.events + 1


def test_of_a_log_with_other_keys_and_another_form_the_rest_is_checked(
    broken: sqlite3.Connection, log_file: Path
) -> None:
    broken.execute("UPDATE meta SET value = 5 WHERE key IN ('framed_by', 'indexed_for')")
    broken.execute("DELETE FROM events WHERE sequence = 500")
    broken.commit()
    broken.close()

    assert said(log_file) == "events: event 500 is missing"


def everything(loop: LoopThread, path: Path) -> list[object]:
    """All that readers get of a log but its cursors: each copy has others."""
    log = OpenLog(loop, path, ManualClock(), PLENTY)

    def events(wanted: Filter = EVERYTHING) -> list[Event]:
        found = [Event.FromString(event_of(it.frame)) for it in log.read(None, wanted, 10_000)]
        for event in found:
            assert Cursor.parse(event.cursor) == Cursor(log.journal.epoch, event.sequence)
            event.ClearField("cursor")
        return found

    try:
        numbers = range(log.index.span.oldest, log.index.span.newest + 1)
        by_key = [events(choosing(conference_id=[f"c{n}"])) for n in range(7)]
        return [events(), by_key, log.run(log.index.raw(numbers, None)), log.index.span]
    finally:
        log.close()


@pytest.fixture(scope="module")
def right(whole: Path, loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    path = tmp_path_factory.mktemp("right") / "events.db"
    shutil.copyfile(whole, path)
    return everything(loop, path)


@pytest.mark.slow
@given(st.integers(0, 2**40), st.integers(1, 255))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_of_a_byte_that_was_changed_the_check_says_so_or_the_log_is_right(
    loop: LoopThread, tmp_path: Path, whole: Path, right: list[object], place: int, change: int
) -> None:
    path = Path(mkdtemp(dir=tmp_path)) / "events.db"
    content = bytearray(whole.read_bytes())
    content[place % len(content)] ^= change
    path.write_bytes(content)
    path.chmod(0o600)

    if check(path).faults:
        return

    try:
        found = everything(loop, path)
    except LogError as error:
        raise AssertionError(f"the check saw nothing: {error}") from error
    assert found == right
