"""A full disk: events are refused, and retention makes room by what it has in reserve."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gateway.journal.errors import LogUnavailableError
from gateway.journal.reading import Span
from gateway.journal.sqlite.reserve import RESERVE_BYTES
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.logs import PLENTY, OpenLog, full_disk, ids
from tests.harness.loop import LoopThread
from tests.harness.needs import as_root
from tests.journal.filling import SHORT, fill


@pytest.mark.slow
def test_only_a_log_that_may_fill_a_disk_keeps_a_reserve(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "events.db"
    reserve = tmp_path / "events.db.reserve"
    log = OpenLog(loop, path, clock, PLENTY)
    fill(log, 1, clock)
    log.prune()
    assert not reserve.exists()

    fill(log, 24, clock)

    assert reserve.stat().st_size == RESERVE_BYTES
    assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES  # it is no hole
    log.close()


@contextmanager
def small_disk(at: Path, mib: int) -> Iterator[None]:
    at.mkdir()
    size = f"size={mib}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


def fill_up(log: OpenLog, clock: ManualClock) -> int:
    """Append until the disk is full; returns how much was stored, in events."""
    while True:
        try:
            fill(log, 1, clock)
        except LogUnavailableError as error:
            assert "the disk is full" in str(error)  # noqa: PT017
            return log.index.span.count


@pytest.mark.slow
@as_root
@pytest.mark.parametrize("mib", [32, 48, 64])
def test_a_full_disk_is_mended_by_what_retention_deletes(
    loop: LoopThread, tmp_path: Path, clock: ManualClock, mib: int
) -> None:
    path = tmp_path / "disk" / "events.db"
    with small_disk(path.parent, mib):
        log = OpenLog(loop, path, clock, SHORT)
        stored = fill_up(log, clock)
        assert log.journal.problem is not None
        clock.advance(1_000)

        assert log.prune() == stored

        assert log.journal.problem is None
        fill(log, mib // 4, clock)
        log.prune()
        assert log.index.span.count == mib // 4 * 64
        log.close()


@pytest.mark.slow
@as_root
@pytest.mark.parametrize("mib", [32, 64])
def test_a_log_is_opened_on_a_full_disk(
    loop: LoopThread, tmp_path: Path, clock: ManualClock, mib: int
) -> None:
    path = tmp_path / "disk" / "events.db"
    with small_disk(path.parent, mib):
        log = OpenLog(loop, path, clock, SHORT)
        fill(log, mib // 3, clock)
        log.close()
        filler = path.with_name("filler")
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4_096))

        log.open()

        assert log.index.span.count == mib // 3 * 64
        clock.advance(1_000)
        assert log.prune() == mib // 3 * 64
        fill(log, 1, clock)
        log.close()


def test_a_problem_is_over_when_something_can_be_stored(
    loop: LoopThread, tmp_path: Path, clock: ManualClock
) -> None:
    log = OpenLog(loop, tmp_path / "events.db", clock, PLENTY)
    log.prune()
    connection = log.connection
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(LogUnavailableError):
        log.append(new_event())
    with pytest.raises(LogUnavailableError):
        log.prune()
    assert log.journal.problem is not None

    connection.execute("PRAGMA query_only = OFF")

    # Nobody has to post anything: who is told that it is not ready may get nothing to store.
    log.prune()
    assert log.journal.problem is None
    log.close()


def test_a_failed_write_is_reported_and_the_numbering_goes_on(
    opened: OpenLog, tmp_path: Path
) -> None:
    opened.append(new_event(id_="a"))
    with full_disk(opened.log), pytest.raises(LogUnavailableError, match="full"):
        opened.append(*[new_event(raw=bytes(20_000)) for _ in range(50)])

    assert opened.index.span == Span(1, 1)
    assert opened.append(new_event(id_="b")) == [(2, False)]
    assert ids(opened.read()) == ["a", "b"]
