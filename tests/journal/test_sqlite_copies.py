"""Copies of a log: each is another log, with an epoch of its own, wherever it came from."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from conferencing.v1.event_pb2 import Event
from gateway.feed.frames import event_of
from gateway.journal.cursor import Cursor
from gateway.journal.errors import LogOpenError
from gateway.journal.sqlite import open_log
from gateway.journal.sqlite.birth import Birth
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT, new_event
from tests.harness.logs import PLENTY, OpenLog, ids
from tests.harness.loop import LoopThread


def made(loop: LoopThread, path: Path, count: int = 3) -> bytes:
    """Make a log with some events, close it, and return its epoch."""
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    for number in range(count):
        log.append(new_event(id_=f"e{number + 1}"))
    log.run(log.checkpoints.set("it", b"5"))
    log.close()
    return log.journal.epoch


def opened(loop: LoopThread, path: Path) -> OpenLog:
    return OpenLog(loop, path, ManualClock(), PLENTY)


def epoch_of(loop: LoopThread, path: Path) -> bytes:
    log = opened(loop, path)
    log.close()
    return log.journal.epoch


def cursors(log: OpenLog) -> list[Cursor]:
    return [Cursor.parse(Event.FromString(event_of(it.frame)).cursor) for it in log.read()]


def the_file(path: Path, to: Path) -> None:
    to.parent.mkdir()
    shutil.copyfile(path, to)


def the_file_with_its_times(path: Path, to: Path) -> None:
    to.parent.mkdir()
    shutil.copy2(path, to)


def the_folder(path: Path, to: Path) -> None:
    shutil.copytree(path.parent, to.parent)


def over_a_deleted_original(path: Path, to: Path) -> None:
    """Most file systems give the inode of a file that was just deleted to the next one."""
    content = path.read_bytes()
    shutil.copytree(path.parent, to.parent)
    to.unlink()
    to.write_bytes(content)


COPIES = [the_file, the_file_with_its_times, the_folder, over_a_deleted_original]


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_has_an_epoch_of_its_own_and_the_numbers_of_the_original(
    loop: LoopThread, tmp_path: Path, copy: Callable[[Path, Path], None]
) -> None:
    path, to = tmp_path / "log" / "events.db", tmp_path / "copy" / "events.db"
    epoch = made(loop, path)
    copy(path, to)

    log = opened(loop, to)

    assert log.journal.epoch != epoch
    log.append(new_event(id_="e4"))
    assert ids(log.read()) == ["e1", "e2", "e3", "e4"]
    assert cursors(log) == [Cursor(log.journal.epoch, number) for number in (1, 2, 3, 4)]
    assert log.run(log.checkpoints.get("it")) == b"5"
    log.close()
    assert epoch_of(loop, to) == log.journal.epoch
    assert epoch_of(loop, path) == epoch


def test_the_copy_says_what_it_is(
    loop: LoopThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, to = tmp_path / "log" / "events.db", tmp_path / "copy" / "events.db"
    made(loop, path)
    the_file(path, to)

    epoch_of(loop, to)

    assert f"{to} is a copy of another file" in caplog.text
    assert "EPOCH_CHANGED" in caplog.text


def the_file_renamed(path: Path) -> Path:
    return path.rename(path.with_name("renamed.db"))


def the_folder_renamed(path: Path) -> Path:
    return path.parent.rename(path.parent.with_name("renamed")) / path.name


def the_lock_removed(path: Path) -> Path:
    path.with_name(path.name + ".lock").unlink()
    return path


@pytest.mark.parametrize("change", [the_file_renamed, the_folder_renamed, the_lock_removed])
def test_a_log_that_was_only_renamed_keeps_its_epoch(
    loop: LoopThread, tmp_path: Path, change: Callable[[Path], Path]
) -> None:
    path = tmp_path / "log" / "events.db"
    epoch = made(loop, path)

    assert epoch_of(loop, change(path)) == epoch


def test_a_log_that_does_not_know_its_file_learns_it_and_keeps_its_epoch(
    loop: LoopThread, tmp_path: Path
) -> None:
    path, to = tmp_path / "log" / "events.db", tmp_path / "copy" / "events.db"
    epoch = made(loop, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM meta WHERE key LIKE 'file_%'")
        connection.commit()

    assert epoch_of(loop, path) == epoch
    the_file(path, to)
    assert epoch_of(loop, to) != epoch


def put_in_place(path: Path, content: bytes) -> None:
    """Restore a copy so that the file stays the same one."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def test_an_older_state_in_the_same_file_has_a_new_epoch(
    loop: LoopThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.db"
    epoch = made(loop, path)
    before = path.read_bytes()
    log = opened(loop, path)
    log.append(new_event(id_="lost"))
    log.close()
    assert log.journal.epoch == epoch
    put_in_place(path, before)

    log = opened(loop, path)

    assert "is an older state of the log" in caplog.text
    assert log.journal.epoch != epoch
    log.append(new_event(id_="another"))
    assert cursors(log)[-1] == Cursor(log.journal.epoch, 4)
    log.close()
    assert epoch_of(loop, path) == log.journal.epoch


def test_a_renewal_that_was_broken_off_is_made_up_for(loop: LoopThread, tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    epoch = made(loop, path)
    before = path.read_bytes()
    epoch_of(loop, path)
    put_in_place(path, before)
    with closing(sqlite3.connect(path)) as outside:
        outside.execute("BEGIN")
        outside.execute("SELECT count(*) FROM events").fetchall()
        with pytest.raises(LogOpenError, match=r"gets a new epoch, and another program is reading"):
            opened(loop, path)
    # As if nothing of the renewal had reached the disk.
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    put_in_place(path, before)

    assert epoch_of(loop, path) != epoch


def test_of_files_without_a_time_of_birth_the_inode_alone_is_compared(
    loop: LoopThread, tmp_path: Path
) -> None:
    path = tmp_path / "events.db"

    def epoch(birth: Birth) -> bytes:
        log = loop.run(open_log(path, FORMAT, birth_of=lambda _: birth))
        loop.run(log.close())
        return log.journal.epoch

    first = epoch(Birth(7, None))
    assert epoch(Birth(7, None)) == first
    # Another kernel may know more, and the next one less again.
    assert epoch(Birth(7, 5)) == first
    assert epoch(Birth(7, None)) == first
    second = epoch(Birth(7, 6))
    assert second != first
    assert epoch(Birth(8, None)) != second


def test_a_log_keeps_its_epoch_however_often_it_is_opened(loop: LoopThread, tmp_path: Path) -> None:
    path = tmp_path / "events.db"

    assert {made(loop, path) for _ in range(3)} == {epoch_of(loop, path)}
