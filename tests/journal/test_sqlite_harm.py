"""Files whose contents somebody changes while the log is open: nothing more is acknowledged."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.events import NewEvent
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.schema import open_for_writing
from gateway.journal.sqlite.wal_frames import WalFrames
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.logs import PLENTY, OpenLog, ids
from tests.harness.loop import LoopThread


def stored_now(id_: str | None = None, raw: bytes = b"{}") -> NewEvent:
    """An event that no retention deletes."""
    return new_event(id_=id_, raw=raw, received_at_us=round(ManualClock().now * 1e6))


@pytest.fixture
def log(loop: LoopThread, tmp_path: Path, clock: ManualClock) -> Iterator[OpenLog]:
    """An open log that holds "e0" to "e19", folded into the database, and "e20" to "e39", not."""
    opened = OpenLog(loop, tmp_path / "events.db", clock, PLENTY)
    for n in range(20):
        opened.append(stored_now(id_=f"e{n}"))
    opened.prune()
    for n in range(20, 40):
        opened.append(stored_now(id_=f"e{n}"))
    yield opened
    opened.close()


def must_refuse(log: OpenLog, why: str) -> None:
    for _ in range(3):
        with pytest.raises(LogUnavailableError, match=why):
            log.append(stored_now())
        with pytest.raises(LogUnavailableError, match=why):
            log.prune()
    assert why in str(log.journal.problem)


# The write-ahead log


def read_or_why(log: OpenLog) -> tuple[list[str], str]:
    try:
        return ids(log.read()), ""
    except LogUnavailableError as error:
        return [], str(error)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_write_ahead_log_that_is_cut_short_anywhere_is_missed_before_the_next_event(
    loop: LoopThread, tmp_path: Path, clock: ManualClock, share: float
) -> None:
    path = Path(mkdtemp(dir=tmp_path)) / "events.db"
    log = OpenLog(loop, path, clock, PLENTY)
    # More than the opening has left in the file, so that its end is in use.
    for n in range(30):
        log.append(stored_now(id_=f"e{n}"))
    wal = LogFiles(path).wal
    os.utime(path.parent, (1, 1))

    os.truncate(wal, int(share * wal.stat().st_size))

    must_refuse(log, "was truncated")
    # What a read needs may all be there; otherwise it says why not.
    read, why = read_or_why(log)
    assert read == [f"e{n}" for n in range(30)] or "was truncated" in why
    size = wal.stat().st_size
    log.close()
    assert wal.stat().st_size == size, "what is left stays for the next start"
    again = OpenLog(loop, path, clock, PLENTY)
    held = ids(again.read())
    assert held == [f"e{n}" for n in range(len(held))]
    again.append(stored_now(id_="after"))
    assert ids(again.read()) == [*held, "after"]
    again.close()
    with closing(sqlite3.connect(path)) as outside:
        assert outside.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_one_that_was_cut_short_and_has_grown_again_is_missed(tmp_path: Path) -> None:
    files = LogFiles(tmp_path / "events.db")

    def store() -> None:
        connection.execute("INSERT INTO meta VALUES (hex(randomblob(20)), zeroblob(20000))")

    for kept in (0, 31, 5_000):
        with closing(open_for_writing(files.database)) as connection:
            store()
            frames = WalFrames(files)
            assert not frames.are_missing()

            os.truncate(files.wal, kept)
            store()

            assert files.wal.stat().st_size > kept
            assert frames.are_missing()
        frames.close()
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()


def test_one_that_another_program_folds_and_empties_during_a_look_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = LogFiles(tmp_path / "events.db")
    look = WalFrames._holds

    def folded_before(frames: WalFrames, counted: Any) -> bool:
        outside(files.database, "PRAGMA wal_checkpoint(TRUNCATE)")
        assert files.wal.stat().st_size == 0
        return look(frames, counted)

    with closing(open_for_writing(files.database)):
        frames = WalFrames(files)
        monkeypatch.setattr(WalFrames, "_holds", folded_before)

        assert not frames.are_missing()
    frames.close()


def outside(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA busy_timeout = 0")
        for statement in statements:
            connection.execute(statement).fetchall()


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    steps=st.lists(
        st.sampled_from(
            ["append", "append", "many", "prune", "reopen", "VACUUM", "read", "leave"]
            + [f"PRAGMA wal_checkpoint({it})" for it in ("PASSIVE", "FULL", "RESTART", "TRUNCATE")]
        ),
        max_size=25,
    )
)
def test_whatever_this_or_another_program_folds_nothing_is_missed(
    loop: LoopThread, tmp_path: Path, clock: ManualClock, steps: list[str]
) -> None:
    path = Path(mkdtemp(dir=tmp_path)) / "events.db"
    log = OpenLog(loop, path, clock, PLENTY)
    readers: list[sqlite3.Connection] = []
    stored = 0
    for step in steps:
        if step == "append":
            log.append(stored_now())
            stored += 1
        elif step == "many":
            log.append(*[stored_now(raw=bytes(30_000)) for _ in range(200)])
            stored += 200
        elif step == "prune":
            log.prune()
        elif step == "reopen":
            log.reopen()
        elif step == "read":
            readers.append(sqlite3.connect(path, isolation_level=None))
            readers[-1].execute("BEGIN")
            readers[-1].execute("SELECT count(*) FROM events").fetchall()
        elif step == "leave":
            if readers:
                readers.pop().close()
        else:
            outside(path, step)
    log.append(stored_now())

    assert log.journal.problem is None
    assert len(log.read(limit=10_000)) == log.index.span.count == stored + 1
    for reader in readers:
        reader.close()
    log.close()


def test_one_that_is_cut_short_and_then_closed_is_told(
    log: OpenLog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.truncate(LogFiles(tmp_path / "events.db").wal, 5_000)

    log.close()

    assert "was truncated" in caplog.text


# The database


def older_copy(database: Path) -> bytes:
    """Return a state of the log from before its last folding, larger than it is now."""
    copy = database.with_name("copy.db")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE meta SET value = value - 1 WHERE key = 'folded'")
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(1000000)")
        connection.commit()
    return copy.read_bytes()


def another_log(database: Path) -> bytes:
    other = database.with_name("other.db")
    with closing(open_for_writing(other)) as connection:
        connection.execute("INSERT INTO meta VALUES ('filler', zeroblob(1000000))")
    return other.read_bytes()


def another_programs(database: Path) -> bytes:
    other = database.with_name("theirs.db")
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE filler AS SELECT zeroblob(1000000)")
        connection.commit()
    return other.read_bytes()


def noise(database: Path) -> bytes:
    return os.urandom(database.stat().st_size)


def zeros(database: Path) -> bytes:
    return bytes(database.stat().st_size)


def a_byte_that_is_no_text(database: Path) -> bytes:
    """Return the log with a byte that is not UTF-8 in the words that made its table.

    SQLite quotes them in its error, which then cannot be read as a text.
    """
    return database.read_bytes().replace(b"CREATE TABLE events (", b"CREATE TABLE events \x80", 1)


@pytest.mark.parametrize(
    "made",
    [older_copy, another_log, another_programs, noise, zeros, a_byte_that_is_no_text],
)
def test_a_database_that_is_overwritten_is_missed_and_never_written_to(
    log: OpenLog, tmp_path: Path, made: Callable[[Path], bytes]
) -> None:
    files = LogFiles(tmp_path / "events.db")
    theirs = made(files.database)
    os.utime(tmp_path, (1, 1))
    with files.database.open("r+b") as file:
        file.write(theirs)

    must_refuse(log, "was overwritten")

    log.close()
    assert files.database.read_bytes() == theirs
    assert files.wal.stat().st_size > 0, "what it holds is not folded into another state"
    with pytest.raises(LogOpenError, match=r"replaced|not an event log|damaged|another program"):
        log.open()


def test_what_was_overwritten_and_is_put_back_has_lost_nothing(
    log: OpenLog, tmp_path: Path
) -> None:
    files = LogFiles(tmp_path / "events.db")
    ours = files.database.read_bytes()
    files.database.write_bytes(noise(files.database))
    must_refuse(log, "was ")
    log.close()

    files.database.write_bytes(ours)

    log.open()
    assert ids(log.read()) == [f"e{n}" for n in range(40)]


def test_a_database_that_is_written_over_with_itself_is_whole(log: OpenLog, tmp_path: Path) -> None:
    database = tmp_path / "events.db"
    ours = database.read_bytes()
    with database.open("r+b") as file:
        file.write(ours)
    os.utime(database, (2, 2))

    log.append(stored_now(id_="after"))

    assert ids(log.read())[-1] == "after"
