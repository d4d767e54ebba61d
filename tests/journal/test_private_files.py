"""The log's files and everybody else on the machine: they hold what was said about calls."""

import fcntl
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.errors import LogOpenError
from gateway.journal.sqlite.private import open_private
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.logs import PLENTY, OpenLog
from tests.harness.loop import LoopThread
from tests.harness.needs import as_root

# Some other user of the machine, whom nothing belongs to.
OTHER = 12_345


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {it.name: stat.S_IMODE(it.stat().st_mode) for it in sorted(folder.iterdir())}


def opened_log(loop: LoopThread, path: Path) -> OpenLog:
    log = OpenLog(loop, path, ManualClock(), PLENTY)
    log.append(*[new_event(raw=os.urandom(16_384)) for _ in range(64)])
    log.prune()
    return log


@pytest.mark.usefixtures("umask")
def test_everything_is_made_for_the_gateway_alone(loop: LoopThread, tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.db"
    log = opened_log(loop, path)

    found = modes(path.parent)

    assert {"events.db", "events.db-shm", "events.db-wal", "events.db.lock"} <= set(found)
    assert set(found.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    log.close()


def test_what_others_could_open_is_narrowed_and_said(
    loop: LoopThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.db"
    log = opened_log(loop, path)
    copies = {it.name: it.read_bytes() for it in tmp_path.iterdir()}
    log.close()
    for name, data in copies.items():  # as a crash leaves them
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)

    with caplog.at_level("INFO"):
        log = opened_log(loop, path)

    assert set(modes(tmp_path).values()) == {0o600}
    assert f"{path} was readable by others" in caplog.text
    # It may be used for other things, too.
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    log.close()


def test_a_folder_that_everybody_may_write_to_is_warned_about(
    loop: LoopThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.chmod(0o777)

    opened_log(loop, tmp_path / "events.db").close()

    assert f"the folder {tmp_path} is writable by everybody" in caplog.text


@pytest.mark.parametrize("ending", [".lock", "-wal", "-shm", ".reserve"])
def test_a_link_in_the_place_of_a_file_is_not_followed(
    loop: LoopThread, tmp_path: Path, ending: str
) -> None:
    target = tmp_path / "of somebody else"
    target.write_text("precious")
    target.chmod(0o640)
    log = tmp_path / "log" / "events.db"
    opened_log(loop, log).close()
    link = log.with_name(log.name + ending)
    link.unlink(missing_ok=True)
    link.symlink_to(target)

    with pytest.raises(LogOpenError, match=r"is a symbolic link.*remove it"):
        opened_log(loop, log)

    assert target.read_text() == "precious"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def as_other(*command: str) -> int:
    """Run a command as another user; returns its exit code."""
    return subprocess.run(
        command, user=OTHER, group=OTHER, extra_groups=(), capture_output=True, check=False
    ).returncode


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody comes to, such as /tmp, outside of the tests' own."""
    path = Path(f"/tmp/shared-{os.getpid()}")
    path.mkdir()
    path.chmod(0o1777)
    yield path
    for it in path.iterdir():
        it.unlink()
    path.rmdir()


@as_root
def test_who_is_not_the_gateway_cannot_take_its_lock(loop: LoopThread, shared: Path) -> None:
    path = shared / "events.db"
    opened_log(loop, path).close()

    assert as_other("flock", "--nonblock", f"{path}.lock", "true") != 0
    assert as_other("flock", "--nonblock", str(path), "true") != 0
    path.with_name(f"{path.name}.lock").chmod(0o644)
    assert as_other("flock", "--nonblock", f"{path}.lock", "true") == 0


@as_root
@pytest.mark.parametrize("ending", ["", ".lock"])
def test_a_file_that_somebody_else_has_put_there_is_refused(
    loop: LoopThread, shared: Path, ending: str
) -> None:
    path = shared / f"events.db{ending}"
    assert as_other("touch", str(path)) == 0

    with pytest.raises(LogOpenError, match=r"belongs to another user|Permission denied"):
        opened_log(loop, shared / "events.db")


def test_a_file_stays_open_to_nobody_else_after_it_was_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o666)

    fd = open_private(path, os.O_RDWR)

    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o600
    assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    os.close(fd)
