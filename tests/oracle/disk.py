"""The log's files from outside: read by other code than the gateway's, copied, cut short."""

import sqlite3
from pathlib import Path
from shutil import copyfile
from typing import TypeAlias

from gateway.journal.sqlite.birth import Birth
from tests.oracle.history import events_in
from tests.oracle.model import Row

# What is stored, how far it has been deleted, and what is wrong with the file.
Reading: TypeAlias = tuple[list[Row], int, str]


def fast_folder(otherwise: Path) -> Path:
    """A folder in memory where there is one: a thousand schedules need no disk to be slow."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else otherwise


def read_log(path: Path) -> Reading:
    """Read a file."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        rows = [
            Row(sequence, id_, received_at_us, next(events_in(frame)), raw)
            for sequence, id_, received_at_us, frame, raw in connection.execute(
                "SELECT sequence, id, received_at_us, frame, raw FROM events ORDER BY sequence"
            )
        ]
        (pruned,) = connection.execute(
            "SELECT value FROM meta WHERE key = 'pruned_through'"
        ).fetchone()
        (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    finally:
        connection.close()
    return rows, int(pruned), "" if check == "ok" else str(check)


def one_file(fd: int) -> Birth:
    """Take every log for the same file: what a crash leaves is no copy, though it is read as one.

    Logs that are replaced have epochs of their own.
    """
    return Birth(1, None)


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def copy_log(path: Path, to: Path) -> None:
    """Copy what a crash would leave. The shared index beside it does not survive one.

    A crash leaves both files as they are at one moment, and they are copied one after the other,
    while the writer's thread goes on. A write-ahead log that has only grown meanwhile mends any
    copy of the database. One that was folded into the database and begun anew does not: what was
    folded in is in neither copy. Its header tells (its salts are others then), and both files are
    copied again.
    """
    to.parent.mkdir()
    while True:
        header = _wal_header(path)
        copyfile(path, to)
        if header:
            copyfile(wal_of(path), wal_of(to))
        if _wal_header(path) == header:
            return


def _wal_header(path: Path) -> bytes:
    """Return the header of a write-ahead log (32 bytes, salts in it), empty if there is none."""
    if not wal_of(path).exists():
        return b""
    with wal_of(path).open("rb") as file:
        return file.read(32)


def tear(path: Path, since: int, share: float, *, garbled: bool) -> bool:
    """Damage what the write-ahead log got after its first `since` bytes: the commit in flight.

    Either only a share of it reached the disk, or all of it but one byte. Returns whether there
    was anything to damage.
    """
    wal = wal_of(path)
    written = wal.stat().st_size - since
    if written <= 0:
        return False
    at = since + int(written * share)
    with wal.open("r+b") as file:
        if garbled:
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 0x55]))
        else:
            file.truncate(at)
    return True
