"""Other programs at the files of an open log: what they may do, and what is missed."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal.errors import LogUnavailableError
from gateway.journal.sqlite.schema import PAGE_BYTES
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.logs import PLENTY, OpenLog, ids
from tests.harness.loop import LoopThread
from tests.journal.filling import SHORT, fill


def test_another_program_that_stores_events_is_named_as_the_cause(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "events.db"
    log = OpenLog(loop, path, clock, PLENTY)
    log.append(new_event())
    with closing(sqlite3.connect(path)) as outside:
        outside.execute(
            "INSERT INTO events (sequence, id, received_at_us, head, tail, frame, raw)"
            " SELECT 2, 'theirs', received_at_us, head, tail, frame, raw FROM events"
        )
        outside.commit()

    with pytest.raises(LogUnavailableError, match="another program has written to it"):
        log.append(new_event())
    log.close()


def test_what_was_noted_of_one_log_does_not_hold_for_another_in_its_place(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path, other, crashed = (tmp_path / name / "events.db" for name in ("a", "b", "crashed"))
    for each in (path, other):
        OpenLog(loop, each, clock, PLENTY).close()
    other.replace(path)
    with closing(sqlite3.connect(path)) as outside:
        # Keeps everything that comes from being folded, and so from being noted.
        outside.execute("BEGIN")
        outside.execute("SELECT count(*) FROM events").fetchall()
        log = OpenLog(loop, path, clock, PLENTY)
        log.append(new_event(id_="second"))
        shutil.copytree(path.parent, crashed.parent)
        log.close()

    again = OpenLog(loop, crashed, clock, PLENTY)
    assert ids(again.read()) == ["second"]
    again.close()


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_file_that_goes_after_a_long_time_without_change_is_missed(
    loop: LoopThread, tmp_path: Path, clock: ManualClock, ending: str
) -> None:
    path = tmp_path / "log" / "events.db"
    log = OpenLog(loop, path, clock, PLENTY)
    # While its folder stays as it was, a look at that is enough.
    os.utime(path.parent, (1, 1))
    log.append(new_event())
    log.append(new_event())

    path.with_name(path.name + ending).unlink()

    with pytest.raises(LogUnavailableError, match="was deleted or"):
        log.append(new_event())
    assert log.journal.problem is not None
    assert log.index.span.count == 2
    log.close()


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0, 10, 100, PAGE_BYTES, 5 * PAGE_BYTES])
@pytest.mark.parametrize("folded", [False, True])
def test_a_database_that_is_cut_short_is_missed_and_stays_so(
    loop: LoopThread, tmp_path: Path, clock: ManualClock, kept: int, folded: bool
) -> None:
    path = tmp_path / "log" / "events.db"
    log = OpenLog(loop, path, clock, PLENTY)
    fill(log, 1, clock)
    log.prune()
    if not folded:
        log.append(new_event())
    os.utime(path.parent, (1, 1))

    os.truncate(path, kept)

    for _ in range(3):
        with pytest.raises(LogUnavailableError, match=r"truncated or emptied .* restore"):
            log.append(new_event())
        with pytest.raises(LogUnavailableError, match="truncated or emptied"):
            log.prune()
    assert "truncated" in str(log.journal.problem)
    log.close()


def test_a_database_that_another_program_makes_smaller_is_whole(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "events.db"
    log = OpenLog(loop, path, clock, SHORT)
    fill(log, 12, clock)
    clock.advance(1_000)
    log.prune()
    size = path.stat().st_size
    with closing(sqlite3.connect(path)) as outside:
        outside.execute("VACUUM")
        outside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size < size

    log.append(new_event(id_="after"))

    assert ids(log.read()) == ["after"]
    log.close()
