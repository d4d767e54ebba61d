"""What the oracle does to files: its crash leaves what one moment had on the disk."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copyfile

import pytest

from tests.oracle import disk
from tests.oracle.disk import copy_log, wal_of


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database with a write-ahead log, which folds only when it is told to."""
    connection = sqlite3.connect(path_of(tmp_path), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, filling TEXT)")
    yield connection
    connection.close()


def path_of(folder: Path) -> Path:
    return folder / "events.db"


def add(writer: sqlite3.Connection, count: int) -> None:
    """Store so many rows in one commit: three of them fill a page."""
    rows = [("x" * 1_000,)] * count
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO numbers (filling) VALUES (?)", rows)
    writer.execute("COMMIT")


def fold(writer: sqlite3.Connection) -> None:
    """Fold the write-ahead log into the database; the next commit begins it anew."""
    writer.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def test_a_copy_has_one_moment_though_the_log_is_folded_and_begun_anew_meanwhile(
    tmp_path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(writer, 300)
    copied: list[str] = []

    def copying(path: Path, to: Path) -> None:
        copyfile(path, to)
        copied.append(path.name)
        if len(copied) == 1:
            fold(writer)
            add(writer, 10)

    monkeypatch.setattr(disk, "copyfile", copying)
    copy = path_of(tmp_path / "copy")
    copy_log(path_of(tmp_path), copy)

    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (310,)
    assert copied == ["events.db", "events.db-wal"] * 2


def test_a_log_that_only_grows_is_copied_once(
    tmp_path: Path, writer: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(writer, 300)
    copied: list[str] = []

    def copying(path: Path, to: Path) -> None:
        copyfile(path, to)
        copied.append(path.name)
        if len(copied) == 1:
            add(writer, 10)

    monkeypatch.setattr(disk, "copyfile", copying)
    copy = path_of(tmp_path / "copy")
    copy_log(path_of(tmp_path), copy)

    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (310,)
    assert copied == ["events.db", "events.db-wal"]


def test_a_database_that_was_closed_has_no_write_ahead_log(
    tmp_path: Path, writer: sqlite3.Connection
) -> None:
    add(writer, 3)
    writer.close()
    copy = path_of(tmp_path / "copy")

    copy_log(path_of(tmp_path), copy)

    assert not wal_of(copy).exists()
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (3,)
