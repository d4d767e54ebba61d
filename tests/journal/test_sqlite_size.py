"""How large the files of a log get, and when they are made smaller."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal.retention import Retention
from gateway.journal.sqlite.schema import WAL_BYTES
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.logs import DAY, PLENTY, OpenLog, ids
from tests.harness.loop import LoopThread
from tests.journal.filling import MIB, SHORT, fill


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def test_the_write_ahead_log_shrinks_when_who_kept_it_has_gone(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "events.db"
    log = OpenLog(loop, path, clock, PLENTY)
    log.append(new_event())
    with closing(sqlite3.connect(path)) as outside:
        outside.execute("BEGIN")
        outside.execute("SELECT count(*) FROM events").fetchall()
        fill(log, 20, clock)
        log.prune()
        assert wal_of(path).stat().st_size > 20 * MIB

    log.prune()

    assert wal_of(path).stat().st_size <= WAL_BYTES
    # So it stays, also when it is folded in the midst of storing.
    fill(log, 20, clock)
    assert wal_of(path).stat().st_size <= 1.5 * WAL_BYTES
    log.close()


@pytest.mark.slow
def test_an_outside_reader_that_keeps_the_write_ahead_log_is_told_of(
    loop: LoopThread, tmp_path: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.db"
    log = OpenLog(loop, path, clock, PLENTY)
    with closing(sqlite3.connect(path)) as outside:
        outside.execute("BEGIN")
        outside.execute("SELECT count(*) FROM events").fetchall()
        fill(log, 64, clock)
        log.prune()
    log.close()

    assert "another program keeps the log open" in caplog.text


@pytest.mark.slow
def test_a_file_that_is_mostly_free_is_made_smaller(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "events.db"
    log = OpenLog(loop, path, clock, SHORT)
    fill(log, 40, clock)
    clock.advance(1_000)
    log.append(*[new_event(id_=f"kept-{n}", received_at_us=round(clock.now * 1e6)) for n in (1, 2)])
    assert path.stat().st_size > 32 * MIB

    log.prune()

    # Not smaller than that: what is free in it is soon used again.
    assert path.stat().st_size < 17 * MIB
    assert ids(log.read()) == ["kept-1", "kept-2"]
    log.close()
    with closing(sqlite3.connect(path)) as outside:
        assert outside.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_appends_have_their_turn_while_the_file_is_made_smaller(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    log = OpenLog(loop, tmp_path / "events.db", clock, SHORT)
    fill(log, 24, clock)
    clock.advance(1_000)
    received = round(clock.now * 1e6)

    async def append_during() -> int:
        pruning = asyncio.ensure_future(log.pruning())
        stored = 0
        while not pruning.done():
            await log.journal.append(new_event(received_at_us=received))
            stored += 1
        await pruning
        return stored

    assert log.run(append_during()) > 5
    log.close()


@pytest.mark.slow
def test_what_is_free_in_the_file_is_used_before_it_grows(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "events.db"
    log = OpenLog(loop, path, clock, Retention(1e9, 8 * MIB))
    fill(log, 12, clock)
    log.prune()
    sizes = []
    for _ in range(10):
        fill(log, 1, clock)
        log.prune()
        sizes.append(log.measures().size_bytes)

    # A sixteenth of it is left free for what comes, here half a MiB.
    assert max(sizes) <= 8 * MIB
    log.close()
    assert path.stat().st_size <= 8 * MIB


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


def test_the_size_is_that_of_the_file(opened: OpenLog, tmp_path: Path) -> None:
    sizes = []
    for _ in range(3):
        opened.append(*[new_event(raw=bytes(10_000)) for _ in range(50)])
        sizes.append(opened.measures().size_bytes)
        opened.reopen()
        assert opened.measures().size_bytes == sizes[-1]
        assert (tmp_path / "deep" / "events.db").stat().st_size == sizes[-1]

    assert sizes == sorted(set(sizes))
