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
from tests.harness.gateway import failure_of
from tests.harness.process import GatewayProcess, command, environment
from tests.harness.reading import everything, ids, replay
from tests.harness.webhooks import event_id, webhook


def log_command(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command("log", *arguments),
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
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
