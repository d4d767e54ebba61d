"""Opening a file: one gateway at a time, and only what is a log of ours."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal.errors import LogOpenError
from gateway.journal.sqlite.schema import PAGE_BYTES
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.logs import PLENTY, OpenLog
from tests.harness.loop import LoopThread


def test_another_programs_database_is_not_changed(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
        theirs.commit()
    before = path.read_bytes()

    with pytest.raises(LogOpenError, match="another program"):
        OpenLog(loop, path, clock, PLENTY)

    assert path.read_bytes() == before


def test_an_older_log_says_what_to_do(loop: LoopThread, tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "events.db"
    OpenLog(loop, path, clock, PLENTY).close()
    with closing(sqlite3.connect(path)) as outside:
        outside.execute("PRAGMA user_version = 1")

    with pytest.raises(LogOpenError, match="open it with an older gateway, or move all"):
        OpenLog(loop, path, clock, PLENTY)


def test_a_second_gateway_is_kept_out(opened: OpenLog, loop: LoopThread, tmp_path: Path) -> None:
    with pytest.raises(LogOpenError, match="another gateway is using"):
        OpenLog(loop, tmp_path / "deep" / "events.db", ManualClock(), PLENTY)


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
