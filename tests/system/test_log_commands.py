"""The commands `log ...`, beside a gateway that runs and without one."""

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from conferencing.v1.event_service_pb2 import SubscribeRequest
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.gateway import failure_of
from tests.harness.logs import PLENTY, OpenLog
from tests.harness.loop import LoopThread
from tests.harness.process import GatewayProcess, command, environment, ran
from tests.harness.reading import everything, ids, replay
from tests.harness.webhooks import event_id, webhook


def log_command(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    done = ran(folder, "log", *arguments, **env)
    assert "Traceback" not in done.stderr
    return done


def serving(folder: Path, path: Path, **env: str) -> GatewayProcess:
    return GatewayProcess(folder, GATEWAY_EVENT_LOG=f"sqlite:///{path}", **env)


def stop(gateway: GatewayProcess) -> None:
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0


@contextmanager
def posting(gateway: GatewayProcess) -> Iterator[list[str]]:
    """Post webhooks all the time; yields the ids of those that were acknowledged, in order."""
    stored: list[str] = []
    ending = threading.Event()

    def post() -> None:
        while not ending.is_set():
            id_ = event_id()
            if gateway.webhooks.post(webhook(id_=id_)).status == 200:
                stored.append(id_)

    thread = threading.Thread(target=post)
    thread.start()
    try:
        yield stored
    finally:
        ending.set()
        thread.join()


def rows_in(path: Path) -> list[tuple[object, ...]]:
    """All of each event but what an epoch goes into: the frame."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT sequence, id, received_at_us, raw, checksum, type, conference_id FROM events"
            " ORDER BY sequence"
        ).fetchall()


def ids_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [id_ for (id_,) in connection.execute("SELECT id FROM events ORDER BY sequence")]


def test_a_backup_beside_a_running_gateway_has_all_that_was_acknowledged_before(
    tmp_path: Path,
) -> None:
    log, to = tmp_path / "log" / "events.db", tmp_path / "backup.db"
    with serving(tmp_path, log) as gateway, posting(gateway) as stored:
        while len(stored) < 20:
            pass
        before = len(stored)
        done = log_command(tmp_path, "backup", str(log), str(to), "--json")
        after = len(stored)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["log"], said["ok"], said["oldest"]) == (str(to), True, 1)
    held = ids_in(to)
    assert len(held) == said["newest"] >= before
    assert held == stored[: len(held)]
    assert after > before, "webhooks were stored meanwhile"
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert sorted(it.name for it in tmp_path.iterdir()) == ["backup.db", "log"]


def test_a_restored_backup_refuses_the_cursors_of_the_log_it_was_made_from(tmp_path: Path) -> None:
    log, to = tmp_path / "log" / "events.db", tmp_path / "backup.db"
    with serving(tmp_path, log) as gateway:
        first = gateway.webhooks.event()
        cursor = everything(gateway)[0].cursor
        assert log_command(tmp_path, "backup", str(log), str(to)).returncode == 0
        lost = gateway.webhooks.event()
        lost_cursor = everything(gateway)[1].cursor
        gateway.kill()
    for ending in ("", "-wal", "-shm"):
        log.with_name(log.name + ending).unlink()
    shutil.copyfile(to, log)

    with serving(tmp_path, log) as gateway:
        assert any("is a restored backup: it gets a new epoch" in it for it in gateway.log)
        new = gateway.webhooks.event()
        held = everything(gateway)
        assert ids(held) == [first, new]
        assert lost not in ids(held)
        assert [it.sequence for it in held] == [1, 2]
        assert lost_cursor not in [it.cursor for it in held]
        for old in (cursor, lost_cursor):
            failure = failure_of(gateway.events.Subscribe, SubscribeRequest(after_cursor=old))
            assert failure.info.reason == "EPOCH_CHANGED"
        kept = held[0].cursor
        stop(gateway)
    with serving(tmp_path, log) as gateway:
        assert ids(replay(gateway, after_cursor=kept)) == [new]


def test_a_log_is_checked_while_a_gateway_uses_it(tmp_path: Path) -> None:
    with serving(tmp_path, tmp_path / "events.db") as gateway, posting(gateway) as stored:
        while len(stored) < 5:
            pass
        done = log_command(tmp_path, "check", f"sqlite:///{tmp_path / 'events.db'}")
    assert done.returncode == 0
    assert "no fault was found" in done.stdout


@pytest.fixture(scope="module")
def closed_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("closed")
    with serving(folder, folder / "events.db") as gateway:
        for _ in range(30):
            gateway.webhooks.event()
        stop(gateway)
    return folder / "events.db"


def test_the_log_is_that_of_the_gateways_setting(closed_log: Path, tmp_path: Path) -> None:
    setting = f"sqlite:///{closed_log}"

    checked = log_command(tmp_path, "check", "--json", GATEWAY_EVENT_LOG=setting)
    backed = log_command(tmp_path, "backup", "copy.db", GATEWAY_EVENT_LOG=setting)

    said = json.loads(checked.stdout)
    assert (said["ok"], said["events"], said["newest"]) == (True, 30, 30)
    assert backed.returncode == 0
    assert ids_in(tmp_path / "copy.db") == ids_in(closed_log)
    assert log_command(tmp_path, "check").returncode == 1
    assert "GATEWAY_EVENT_LOG" in log_command(tmp_path, "check", GATEWAY_EVENT_LOG="x").stderr


def test_what_a_killed_gateway_has_left_is_checked_and_backed_up(tmp_path: Path) -> None:
    log = tmp_path / "log" / "events.db"
    with serving(tmp_path, log) as gateway:
        id_ = gateway.webhooks.event()
        gateway.kill()

    assert "1 events" in log_command(tmp_path, "check", str(log)).stdout
    assert log_command(tmp_path, "backup", str(log), "copy.db").returncode == 0
    assert ids_in(tmp_path / "copy.db") == [id_]


def test_a_damaged_log_is_said_and_not_backed_up(closed_log: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.db"
    shutil.copyfile(closed_log, log)
    log.chmod(0o600)
    with log.open("r+b") as file:
        file.seek(2 * 8_192)
        file.write(os.urandom(3 * 8_192))

    checked = log_command(tmp_path, "check", str(log))
    backed = log_command(tmp_path, "backup", str(log), "copy.db")

    assert checked.returncode == 1
    assert "faults: " in checked.stdout
    assert backed.returncode == 1
    assert backed.stderr.startswith("telnyx-gateway: ")
    assert [it.name for it in tmp_path.iterdir() if it.name.startswith("copy")] == []


def test_a_log_with_faults_that_sqlite_does_not_see_is_not_backed_up(
    closed_log: Path, tmp_path: Path
) -> None:
    log = moved(closed_log, tmp_path)
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("DELETE FROM events WHERE sequence = 12")
        connection.commit()

    backed = log_command(tmp_path, "backup", str(log), "copy.db")

    assert backed.returncode == 1
    assert "event 12 is missing" in backed.stderr
    assert [it.name for it in tmp_path.iterdir()] == ["from"]


def test_a_backup_does_not_take_the_place_of_a_file(closed_log: Path, tmp_path: Path) -> None:
    to = tmp_path / "copy.db"
    to.write_text("mine")

    done = log_command(tmp_path, "backup", str(closed_log), str(to))

    assert done.returncode == 1
    assert f"{to} exists already: name a new file" in done.stderr
    assert to.read_text() == "mine"


def test_a_backup_that_was_killed_leaves_no_file_of_that_name(
    closed_log: Path, tmp_path: Path
) -> None:
    part = tmp_path / "copy.db.part"
    part.write_bytes(b"half")

    assert log_command(tmp_path, "backup", str(closed_log), "copy.db").returncode == 0
    assert not part.exists()
    assert ids_in(tmp_path / "copy.db") == ids_in(closed_log)


def test_there_must_be_a_log_and_a_folder(closed_log: Path, tmp_path: Path) -> None:
    for arguments, says in (
        (("nothing.db", "copy.db"), "there is no log at"),
        ((str(closed_log), "no/copy.db"), "no/copy.db.part cannot be made: No such file"),
    ):
        done = log_command(tmp_path, "backup", *arguments)
        assert done.returncode == 1
        assert says in done.stderr
    assert log_command(tmp_path, "backup", "a", "b", "c").returncode == 2


# Copying


def prune(path: Path, through: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM events WHERE sequence <= ?", (through,))
        connection.execute("UPDATE meta SET value = ? WHERE key = 'pruned_through'", (through,))
        connection.commit()


def moved(path: Path, folder: Path) -> Path:
    """Return a log that a test may change."""
    to = folder / "from" / "events.db"
    to.parent.mkdir()
    shutil.copyfile(path, to)
    to.chmod(0o600)
    return to


def test_a_copy_has_the_same_numbers_ids_times_and_bytes(closed_log: Path, tmp_path: Path) -> None:
    log, to = moved(closed_log, tmp_path), tmp_path / "to" / "events.db"
    prune(log, 7)

    done = log_command(tmp_path, "copy", str(log), f"sqlite:///{to}")

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{to}: 23 events, numbers 8 to 30, as in {log}\n"
    assert rows_in(to) == rows_in(log)
    assert log_command(tmp_path, "check", str(to)).returncode == 0
    with serving(tmp_path, to) as gateway:
        new = gateway.webhooks.event()
        held = everything(gateway)
        assert [it.sequence for it in held] == list(range(8, 32))
        assert held[-1].id == new


def test_backfill_continues_from_the_mark_of_the_log_that_was_copied(
    closed_log: Path, tmp_path: Path
) -> None:
    log, to = moved(closed_log, tmp_path), tmp_path / "to.db"
    mark = b'{"version": 1, "since_us": 5, "until_us": 7}'
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("INSERT OR REPLACE INTO checkpoints VALUES ('complete', ?)", (mark,))
        connection.commit()

    assert log_command(tmp_path, "copy", str(log), str(to)).returncode == 0

    with closing(sqlite3.connect(to)) as connection:
        assert connection.execute("SELECT name, value FROM checkpoints").fetchall() == [
            ("complete", mark)
        ]


@pytest.fixture(scope="module")
def large_log(tmp_path_factory: pytest.TempPathFactory, loop: LoopThread) -> Path:
    path = tmp_path_factory.mktemp("large") / "events.db"
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    for first in range(0, 20_000, 1_000):
        log.append(*[new_event(id_=f"e{first + n}") for n in range(1_000)])
    log.close()
    return path


@pytest.mark.slow
def test_a_copy_that_was_killed_goes_on_where_it_was(large_log: Path, tmp_path: Path) -> None:
    to = tmp_path / "to.db"
    copying = subprocess.Popen(
        command("log", "copy", str(large_log), str(to)), env=environment(), cwd=tmp_path
    )
    while not (to.exists() and count_in(to) > 2_000):
        assert copying.poll() is None, "it was quicker than this test"
    copying.kill()
    copying.wait()
    kept = count_in(to)
    assert 2_000 < kept < 20_000

    done = log_command(tmp_path, "copy", "--json", str(large_log), str(to))

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["oldest"], said["newest"], said["added"]) == (1, 20_000, 20_000 - kept)
    assert rows_in(to) == rows_in(large_log)


def count_in(path: Path) -> int:
    try:
        return len(ids_in(path))
    except sqlite3.Error:  # it is being made
        return 0


def refused(folder: Path, *arguments: object) -> str:
    done = log_command(folder, "copy", *map(str, arguments))
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_log_with_other_events_is_not_copied_to(closed_log: Path, tmp_path: Path) -> None:
    log = moved(closed_log, tmp_path)
    other = tmp_path / "other.db"
    with serving(tmp_path, other) as gateway:
        gateway.webhooks.event()
        stop(gateway)
    before = rows_in(other)

    assert "event 1 is" in refused(tmp_path, log, other)
    assert "other content: that is not a copy of this log" in refused(tmp_path, log, other)
    assert "holds events up to number 30" in refused(tmp_path, other, log)
    assert rows_in(other) == before


def test_a_copy_that_was_changed_is_told(closed_log: Path, tmp_path: Path) -> None:
    log, to = moved(closed_log, tmp_path), tmp_path / "to.db"
    assert log_command(tmp_path, "copy", str(log), str(to)).returncode == 0
    with closing(sqlite3.connect(to)) as connection:
        connection.execute("UPDATE events SET raw = x'7b7d' WHERE sequence = 12")
        connection.commit()

    assert "event 12 is" in refused(tmp_path, log, to)


def test_what_cannot_be_copied_is_said(closed_log: Path, tmp_path: Path) -> None:
    log, to = moved(closed_log, tmp_path), tmp_path / "to.db"

    assert "there is no log at" in refused(tmp_path, tmp_path / "nothing.db", to)
    assert not to.exists()
    assert "both are the same log" in refused(tmp_path, log, log)
    with serving(tmp_path, tmp_path / "used.db"):
        assert "another gateway is using" in refused(tmp_path, tmp_path / "used.db", to)
        assert "another gateway is using" in refused(tmp_path, log, tmp_path / "used.db")
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("DELETE FROM events WHERE sequence = 12")
        connection.commit()
    assert "telnyx-gateway: event 12 is missing" in refused(tmp_path, log, to)


def test_a_copy_whose_log_has_gone_on_without_it_is_not_continued(
    closed_log: Path, tmp_path: Path
) -> None:
    log, to = moved(closed_log, tmp_path), tmp_path / "to.db"
    assert log_command(tmp_path, "copy", str(log), str(to)).returncode == 0
    with closing(sqlite3.connect(to)) as connection:
        connection.execute("DELETE FROM events WHERE sequence > 10")
        connection.commit()
    prune(log, 20)

    assert "ends with number 10, and the one to copy begins with 21" in refused(tmp_path, log, to)
