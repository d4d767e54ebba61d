"""The files behind the log: how large they get, and when they are not what they were."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.journal.errors import LogError, LogOpenError, LogUnavailableError, OvertakenError
from gateway.journal.filter import EVERYTHING
from gateway.journal.reading import NOBODY, Stretch, TimeBounds
from gateway.journal.retention import Retention
from gateway.journal.sqlite.reserve import RESERVE_BYTES
from gateway.journal.sqlite.schema import PAGE_BYTES, WAL_BYTES
from tests.harness.clock import ManualClock
from tests.harness.events import choosing, new_event
from tests.harness.logs import PLENTY, OpenLog, ids
from tests.harness.loop import LoopThread
from tests.harness.needs import as_root

MIB = 2**20
SHORT = Retention(100, 2**40)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def fill(log: OpenLog, mib: int, clock: ManualClock) -> None:
    received = round(clock.now * 1e6)
    for _ in range(mib):
        log.append(*[new_event(received_at_us=received, raw=os.urandom(16_384)) for _ in range(64)])


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


# How large


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


# Room for deleting


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


# Other programs


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


# Damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, loop: LoopThread) -> Path:
    """A closed log of some hundred pages, small events and large ones."""
    path = tmp_path_factory.mktemp("whole") / "events.db"
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    log.append(*[new_event(id_=f"e{n}", conference_id=f"c{n % 7}") for n in range(3_000)])
    log.append(*[new_event(raw=bytes(30_000)) for _ in range(10)])
    log.close()
    return path


def use_all_of(log: OpenLog) -> list[str]:
    """Do everything that a log is asked for; returns what was said of what failed."""
    index, checkpoints = log.index, log.checkpoints
    said = []
    for asked in (
        lambda: index.read(index.span.oldest - 1, EVERYTHING, 10_000, EVERYTHING),
        lambda: index.read(index.span.oldest - 1, choosing(conference_id=["c3"]), 100, EVERYTHING),
        lambda: index.recent(10_000, 2**30),
        lambda: index.page(
            EVERYTHING, TimeBounds(), Stretch(0, 10_000), 10_000, EVERYTHING, newest_first=True
        ),
        lambda: index.raw(range(1, 3_010), NOBODY),
        lambda: index.find("e7", EVERYTHING),
        lambda: index.first_received_since(1),
        index.measures,
        lambda: log.journal.append(new_event()),
        lambda: log.journal.append(new_event(id_="e7")),
        lambda: checkpoints.set("it", b"5"),
        lambda: checkpoints.get("it"),
        log.pruning,
    ):
        try:
            log.run(asked())
        except (LogUnavailableError, OvertakenError) as error:
            said.append(str(error))
    return said


damages = st.lists(
    st.tuples(st.integers(0, 2**40), st.binary(min_size=1, max_size=200)), min_size=1, max_size=5
)


@pytest.mark.slow
@given(damages, st.booleans())
@example([(at, b"\xff" * 60) for at in range(0, 200 * PAGE_BYTES, PAGE_BYTES)], False)
@example([(at, b"\xff" * 60) for at in range(PAGE_BYTES, 200 * PAGE_BYTES, PAGE_BYTES)], True)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_damaged_is_said_and_never_an_unforeseen_error(
    loop: LoopThread,
    tmp_path: Path,
    whole: Path,
    damage: list[tuple[int, bytes]],
    while_open: bool,
) -> None:
    path = Path(mkdtemp(dir=tmp_path)) / "events.db"
    shutil.copyfile(whole, path)
    log = OpenLog(loop, path, ManualClock(), PLENTY) if while_open else None
    with path.open("r+b") as file:
        size = path.stat().st_size
        for at, garbage in damage:
            file.seek(at % size)
            file.write(garbage[: size - at % size])
    try:
        log = log or OpenLog(loop, path, ManualClock(), PLENTY)
    except LogError as error:
        what_to_do = ("move all of its files away", "name another file")
        assert any(text in str(error) for text in what_to_do)  # noqa: PT017
        return
    said = use_all_of(log)
    # An index that has lost an event lets its number or id be given again.
    known = ("damaged", "another program has written")
    assert [it for it in said if not any(text in it for text in known)] == []
    log.close()


@pytest.mark.slow
def test_a_log_that_is_damaged_while_it_is_read_says_so(
    loop: LoopThread, tmp_path: Path, whole: Path
) -> None:
    path = tmp_path / "events.db"
    shutil.copyfile(whole, path)
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    with path.open("r+b") as file:
        for page in range(5, path.stat().st_size // PAGE_BYTES):
            file.seek(page * PAGE_BYTES)
            file.write(os.urandom(PAGE_BYTES))

    with pytest.raises(
        LogUnavailableError, match=r"it is damaged\. Stop the gateway, then restore"
    ):
        log.read()
    log.close()
