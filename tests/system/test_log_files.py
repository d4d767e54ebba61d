"""The log's files: found, linked, moved, deleted and filled by those who run servers."""

import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from tests.harness.needs import as_root
from tests.harness.pages import http_get
from tests.harness.process import GatewayProcess, ran
from tests.harness.reading import everything, ids
from tests.harness.webhooks import Reply, Signer, webhook


def serving(folder: Path, path: Path, **env: str) -> GatewayProcess:
    return GatewayProcess(folder, GATEWAY_EVENT_LOG=f"sqlite:///{path}", **env)


def refusal(folder: Path, path: Path | str) -> str:
    """Start a gateway that must refuse to start, and return what it says."""
    result = ran(
        folder,
        "serve",
        TELNYX_API_KEY="KEY0123456789",
        TELNYX_PUBLIC_KEY=Signer().public_key,
        GATEWAY_GRPC_ADDRESS="127.0.0.1:0",
        GATEWAY_HTTP_ADDRESS="127.0.0.1:0",
        GATEWAY_ADMIN_ADDRESS="127.0.0.1:0",
        GATEWAY_EVENT_LOG=f"sqlite:///{path}",
    )
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr


def post(gateway: GatewayProcess, id_: str, size: int = 0) -> Reply:
    return gateway.webhooks.post(webhook(payload={"filling": "x" * size}, id_=id_))


def held(gateway: GatewayProcess) -> list[str]:
    return ids(everything(gateway))


@contextmanager
def mounted(at: Path, *arguments: str) -> Iterator[None]:
    subprocess.run(["mount", *arguments, str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)


# Two gateways on one log


def symbolic_link(log: Path, folder: Path) -> Path:
    link = folder / "link.db"
    link.symlink_to(log)
    return link


def link_to_the_folder(log: Path, folder: Path) -> Path:
    link = folder / "linked"
    link.symlink_to(log.parent)
    return link / log.name


def relative_path(log: Path, folder: Path) -> Path:
    return Path(os.path.relpath(log, folder))


@pytest.mark.parametrize("name", [symbolic_link, link_to_the_folder, relative_path])
def test_a_second_gateway_is_refused_whatever_it_calls_the_log(
    tmp_path: Path, name: Callable[[Path, Path], Path]
) -> None:
    log, folder = tmp_path / "first" / "events.db", tmp_path / "second"
    folder.mkdir()
    with serving(tmp_path, log) as first:
        assert post(first, "before").status == 200

        said = refusal(folder, name(log, folder))

        assert f"another gateway is using the event log {log} (process {first.pid} on" in said
        assert post(first, "after").status == 200
        assert held(first) == ["before", "after"]


def test_a_log_with_a_hard_link_is_refused(tmp_path: Path) -> None:
    log, link = tmp_path / "first" / "events.db", tmp_path / "link.db"
    with serving(tmp_path, log) as first:
        assert post(first, "before").status == 200
        os.link(log, link)

        assert "has 2 names (hard links)" in refusal(tmp_path, link)

        assert post(first, "after").status == 200
        assert held(first) == ["before", "after"]


@as_root
@pytest.mark.parametrize("what", ["the folder", "the file"])
def test_a_log_that_is_mounted_twice_is_refused(tmp_path: Path, what: str) -> None:
    log, folder = tmp_path / "first" / "events.db", tmp_path / "second"
    folder.mkdir()
    with serving(tmp_path, log) as first:
        assert post(first, "before").status == 200
        again = folder / "events.db"
        if what == "the file":
            again.touch()
        at, of = (folder, log.parent) if what == "the folder" else (again, log)
        with mounted(at, "--bind", str(of)):
            assert f"another gateway is using the event log {again}" in refusal(tmp_path, again)

        assert post(first, "after").status == 200


# Files that go while they are used


def test_a_log_that_is_deleted_takes_nothing_more(tmp_path: Path) -> None:
    log = tmp_path / "log" / "events.db"
    with serving(tmp_path, log) as gateway:
        assert post(gateway, "before").status == 200
        for path in log.parent.glob("events.db*"):
            path.unlink()

        assert post(gateway, "lost").status == 503

        gateway.wait_for(r"events\.db was deleted or moved .* Put the previous file back")
        status, text = http_get(gateway.admin_address, "/readyz")
        assert status == 503
        assert "events.db was deleted" in text
    with serving(tmp_path, log) as gateway:
        # The provider sends again what was not acknowledged.
        assert post(gateway, "lost").status == 200
        assert held(gateway) == ["lost"]


def test_a_log_that_is_moved_takes_nothing_until_it_is_back(tmp_path: Path) -> None:
    log, elsewhere = tmp_path / "log", tmp_path / "elsewhere"
    with serving(tmp_path, log / "events.db") as gateway:
        assert post(gateway, "a").status == 200
        log.rename(elsewhere)
        assert post(gateway, "b").status == 503
        assert http_get(gateway.admin_address, "/readyz")[0] == 503
        # What it holds can still be read.
        assert held(gateway) == ["a"]

        elsewhere.rename(log)

        assert post(gateway, "b").status == 200
        assert http_get(gateway.admin_address, "/readyz") == (200, "ready\n")
        gateway.kill()
    with serving(tmp_path, log / "events.db") as gateway:
        assert held(gateway) == ["a", "b"]


def test_a_log_that_is_replaced_takes_nothing(tmp_path: Path) -> None:
    log, other = tmp_path / "events.db", tmp_path / "other.db"
    with serving(tmp_path, other) as gateway:
        assert post(gateway, "theirs").status == 200
        gateway.signal(15)
        assert gateway.wait() == 0
    with serving(tmp_path, log) as gateway:
        assert post(gateway, "ours").status == 200
        other.rename(log)

        assert post(gateway, "late").status == 503

        gateway.wait_for(r"events\.db was replaced by another file")
        gateway.signal(15)
        assert gateway.wait() == 0
    with serving(tmp_path, log) as gateway:
        assert held(gateway) == ["theirs"]


def test_what_was_acknowledged_outlives_the_write_ahead_log(tmp_path: Path) -> None:
    log = tmp_path / "log" / "events.db"
    with serving(tmp_path, log) as gateway:
        assert post(gateway, "a").status == 200
        assert post(gateway, "b").status == 200
        for ending in ("-wal", "-shm"):
            log.with_name(log.name + ending).unlink()

        assert post(gateway, "c").status == 503

        gateway.wait_for(r"events\.db-wal was deleted or replaced .* Restart the gateway")
        gateway.kill()
    with serving(tmp_path, log) as gateway:
        assert held(gateway) == ["a", "b"]
        assert post(gateway, "c").status == 200


# Copies


def back_up(log: Path, copy: Path) -> None:
    """As docs/feed.md says."""
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))


def test_a_copy_is_restored_by_the_book(tmp_path: Path) -> None:
    log, copy = tmp_path / "log" / "events.db", tmp_path / "copy.db"
    with serving(tmp_path, log) as gateway:
        assert post(gateway, "old").status == 200
        back_up(log, copy)
        assert post(gateway, "new").status == 200
        gateway.kill()
    for ending in ("", "-wal", "-shm"):
        log.with_name(log.name + ending).unlink()
    shutil.copyfile(copy, log)

    with serving(tmp_path, log) as gateway:
        assert post(gateway, "next").status == 200
        assert held(gateway) == ["old", "next"]
        gateway.kill()
    with serving(tmp_path, log) as gateway:
        assert held(gateway) == ["old", "next"]


def test_a_copy_beside_the_write_ahead_log_of_another_state_is_not_damaged(tmp_path: Path) -> None:
    log, copy = tmp_path / "log" / "events.db", tmp_path / "copy.db"
    with serving(tmp_path, log) as gateway:
        assert post(gateway, "old").status == 200
        back_up(log, copy)
    # Everything is folded into the file at a start, and after that from time to time.
    with serving(tmp_path, log) as gateway:
        assert post(gateway, "new").status == 200
        gateway.kill()
    shutil.copyfile(copy, log)

    said = refusal(tmp_path, log)

    assert "was replaced, such as by a copy" in said
    assert "remove events.db-wal and events.db-shm" in said
    assert log.read_bytes() == copy.read_bytes()
    for ending in ("-wal", "-shm"):
        log.with_name(log.name + ending).unlink()
    with serving(tmp_path, log) as gateway:
        assert any("is an older state of the log" in line for line in gateway.log)
        assert held(gateway) == ["old"]


# What is no log, or no longer one


def damaged_page(log: Path) -> None:
    with log.open("r+b") as file:
        file.seek(3 * 8_192)
        file.write(os.urandom(20 * 8_192))


def cut_off(log: Path) -> None:
    os.truncate(log, log.stat().st_size // 2)


def damaged_beginning(log: Path) -> None:
    with log.open("r+b") as file:
        file.write(os.urandom(100))


def without_a_database(log: Path) -> None:
    log.with_name(log.name + "-wal").write_bytes(b"not empty")
    log.unlink()


def emptied(log: Path) -> None:
    log.with_name(log.name + "-wal").write_bytes(b"not empty")
    os.truncate(log, 0)


def a_folder(log: Path) -> None:
    log.unlink()
    log.mkdir()


def a_pipe(log: Path) -> None:
    log.unlink()
    os.mkfifo(log)


@pytest.fixture(scope="module")
def closed_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of some hundred pages."""
    folder = tmp_path_factory.mktemp("closed")
    with serving(folder, folder / "events.db") as gateway:
        for number in range(60):
            assert post(gateway, f"e{number}", 20_000).status == 200
        gateway.signal(15)
        assert gateway.wait() == 0
    return folder / "events.db"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damaged_page, r"events\.db: .*malformed; it is damaged\. Stop the gateway, then restore"),
        (cut_off, r"events\.db: .*malformed; it is damaged\. .*`sqlite3 .* \.recover`"),
        (damaged_beginning, r"file is not a database; it is another program's file, or damaged"),
        (without_a_database, r"events\.db is missing, but .*events\.db-wal .* put events\.db back"),
        (emptied, r"events\.db is empty, but .*events\.db-wal .* Restore it from a copy"),
        (a_folder, r"events\.db is a directory: name a file with GATEWAY_EVENT_LOG"),
        (a_pipe, r"events\.db is no regular file: name a file"),
    ],
)
def test_what_cannot_be_opened_says_what_it_is_and_what_to_do(
    closed_log: Path, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    log = tmp_path / "events.db"
    shutil.copyfile(closed_log, log)
    damage(log)

    assert re.search(says, refusal(tmp_path, log))


@as_root
def test_a_read_only_file_system_is_named(closed_log: Path, tmp_path: Path) -> None:
    with mounted(tmp_path, "-t", "tmpfs", "none"):
        shutil.copyfile(closed_log, tmp_path / "events.db")
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)

        said = refusal(closed_log.parent, tmp_path / "events.db")

    assert re.search(r"cannot open the event log .*events\.db: Read-only file system", said)


# A full disk


@as_root
@pytest.mark.parametrize("stop", ["in order", "killed"])
def test_a_smaller_retention_mends_a_full_disk(tmp_path: Path, stop: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    log = disk / "events.db"
    with mounted(disk, "-t", "tmpfs", "-o", "size=48m", "none"):
        with serving(tmp_path, log) as gateway:
            stored = 0
            while post(gateway, f"e{stored}", 100_000).status == 200:
                stored += 1
            said = gateway.wait_for(r"could not be stored.*(the disk is full: .*)")
            assert "smaller GATEWAY_RETENTION_SIZE" in said
            assert "the disk is full" in http_get(gateway.admin_address, "/readyz")[1]
            if stop == "killed":
                gateway.kill()
            else:
                gateway.signal(15)
                assert gateway.wait() == 0

        with serving(tmp_path, log, GATEWAY_RETENTION_SIZE="8MiB") as gateway:
            gateway.wait_for(r"deleted \d+ events that exceed the retention")
            info = gateway.events.GetFeedInfo(GetFeedInfoRequest())
            assert info.newest_sequence == stored
            assert 0 < info.event_count < stored
            assert info.size_bytes <= 8 * 2**20
            for number in range(40):
                assert post(gateway, f"later-{number}", 100_000).status == 200
            ids = [f"e{number}" for number in range(stored)]
            assert held(gateway)[:-40] == ids[-info.event_count :]
