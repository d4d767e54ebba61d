"""Files that change while somebody is served with them."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.tls.current import CurrentCredentials
from tests.harness.certificates import Authority
from tests.tls.stage import Folder

CA = Authority()


def look(current: CurrentCredentials, times: int = 1) -> None:
    for _ in range(times):
        asyncio.run(current.look())


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [it.getMessage() for it in caplog.records if it.levelno >= logging.WARNING]


def test_a_new_pair_is_taken_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    folder = Folder(tmp_path, CA.server())
    current = CurrentCredentials(folder.files)
    first, second = current.current, CA.server()

    look(current, 3)
    assert current.current is first
    folder.write(second)
    look(current)

    assert current.current.pem.chain == second.cert
    (line,) = caplog.messages
    assert line.startswith("TLS on grpc: a new certificate is served, until 2")


def test_a_pair_behind_links_is_taken_up_when_the_links_change(tmp_path: Path) -> None:
    """As Kubernetes mounts a Secret: files are links into a folder that is a link itself."""
    first, second = CA.server(), CA.server()
    for name, issued in (("1", first), ("2", second)):
        (tmp_path / name).mkdir()
        issued.write(tmp_path / name, "server")
        for file in (tmp_path / name).iterdir():
            os.utime(file, (0, 0))
    (tmp_path / "data").symlink_to("1")
    folder = Folder(tmp_path, first)
    for path in (folder.cert, folder.key):
        path.unlink()
        path.symlink_to(f"data/{path.name}")
    current = CurrentCredentials(folder.files)

    (tmp_path / "new").symlink_to("2")
    (tmp_path / "new").rename(tmp_path / "data")
    look(current)

    assert current.current.pem.chain == second.cert


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda it: it.cert.write_bytes(CA.server().cert), "is not the key of"),
        (lambda it: it.key.write_bytes(b""), "is not a whole key"),
        (lambda it: it.cert.unlink(), "names a file that cannot be read"),
        (lambda it: it.client_ca.write_bytes(b"no"), "is not whole certificates"),
    ],
)
def test_what_makes_no_pair_is_told_once_and_the_old_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Folder], None], words: str
) -> None:
    issued = CA.server()
    folder = Folder(tmp_path, issued, CA.pem)
    current = CurrentCredentials(folder.files)
    first = current.current

    spoil(folder)
    look(current, 5)

    assert current.current is first
    (line,) = errors(caplog)
    assert "the new certificate is refused, and the old one is served until 2" in line
    assert words in line

    # Back where it was, and then wrong anew: that is news.
    folder.write(issued)
    folder.client_ca.write_bytes(CA.pem)
    look(current)
    assert current.current is first
    spoil(folder)
    look(current, 5)
    assert len(errors(caplog)) == 2


def test_files_that_are_written_one_after_the_other_are_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, second = Folder(tmp_path, CA.server()), CA.server()
    current = CurrentCredentials(folder.files)

    folder.cert.write_bytes(second.cert[:200])
    look(current)
    folder.cert.write_bytes(second.cert)
    look(current)
    folder.key.write_bytes(second.key)
    look(current)

    assert current.current.pem.chain == second.cert
    assert errors(caplog) == []


def test_a_pair_that_is_not_valid_yet_is_taken_up_when_it_is(tmp_path: Path) -> None:
    folder, second = Folder(tmp_path, CA.server()), CA.server()
    now = CurrentCredentials(folder.files).current.not_after - 86_400
    clock = [now]
    current = CurrentCredentials(folder.files, lambda: clock[0])
    first = current.current

    folder.write(second)
    clock[0] = now - 3 * 86_400
    look(current, 3)
    assert current.current is first
    clock[0] = now
    look(current)

    assert current.current.pem.chain == second.cert


def test_that_it_has_expired_is_an_error_once_and_a_new_one_can_expire_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Folder(tmp_path, CA.server())
    clock = [CurrentCredentials(folder.files).current.not_after - 1]
    current = CurrentCredentials(folder.files, lambda: clock[0])
    look(current, 3)
    assert errors(caplog) == []

    clock[0] += 1
    look(current, 3)
    (line,) = errors(caplog)
    assert line.startswith(
        f"TLS on grpc: the certificate has expired at {current.current.expires}, and clients refuse"
    )

    clock[0] -= 1
    folder.write(CA.server())
    look(current)
    clock[0] = current.current.not_after
    look(current, 3)
    assert len(errors(caplog)) == 2


def test_files_that_are_put_back_are_told_of_once_if_their_fault_was(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    issued = CA.server()
    folder = Folder(tmp_path, issued)
    current = CurrentCredentials(folder.files)
    folder.key.write_bytes(b"")
    look(current)
    folder.write(issued)
    look(current, 3)
    assert caplog.messages == []

    folder.key.write_bytes(b"")
    look(current, 3)
    folder.write(issued)
    look(current, 3)
    assert caplog.messages[1:] == ["TLS on grpc: its files have what is served again"]


def test_with_nothing_to_begin_with_there_is_no_beginning(tmp_path: Path) -> None:
    folder = Folder(tmp_path, CA.server())
    folder.key.write_bytes(CA.server().key)

    with pytest.raises(Exception, match="is not the key of the first certificate"):
        CurrentCredentials(folder.files)
