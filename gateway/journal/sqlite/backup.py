"""Backups: a copy of the log as it is at one moment, made while a gateway uses it.

SQLite's online backup copies pages. Here it reads one state of the log from its first page to its
last: were it to follow what is stored meanwhile, each commit would have it begin anew
(sqlite.org/backup.html). Webhooks are stored meanwhile; what they add stays in the write-ahead log,
which cannot begin at its start again before the copy is made.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.journal.content import Content, Progress, unheard
from gateway.journal.errors import LogError, LogOpenError
from gateway.journal.findings import Report
from gateway.journal.sqlite.checking import check_log
from gateway.journal.sqlite.faults import UNREADABLE, described
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.private import open_private
from gateway.journal.sqlite.renewal import mark_as_backup
from gateway.journal.sqlite.schema import PAGE_BYTES, open_beside

# Pages of one step, which is synced to the disk, and the pause after it as a share of the time that
# it took: commits of the gateway get the disk in between, and none waits for more than a step.
_STEP_PAGES = 2**20 // PAGE_BYTES
_PAUSE_SHARE = 1.0


class BackupError(LogError):
    """The backup could not be made; nothing has its name."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup: where it is, how large in bytes, and what was found in it."""

    path: Path
    size_bytes: int
    report: Report


def back_up(path: Path, to: Path, content: Content, told: Progress = unheard) -> BackedUp:
    """Copy the log at a path to a new file, and check the copy before it gets its name.

    The copy gets a new epoch when it is opened to be used. Raises BackupError.
    """
    with _named_at_last(to) as (part, fd):
        try:
            _copy(LogFiles.of(path), part, fd, told)
        except LogOpenError as error:
            raise BackupError(str(error)) from error
        except UNREADABLE as error:
            raise BackupError(f"the log cannot be copied: {described(error, path)}") from error
        report = check_log(part, content, told)
        if report.faults:
            raise BackupError(
                f"the copy is not whole, and neither is the log, as it seems: see what `log check`"
                f" says of {path}. Of the copy it says: {report.findings[0].text}"
            )
        size = part.stat().st_size
    return BackedUp(to, size, report)


@contextmanager
def made_beside(to: Path) -> Iterator[Path]:
    """Yield where to make a new log, which gets the name `to` if nothing is raised.

    That is in a private folder beside that name. Raises BackupError.
    """
    folder = to.with_name(to.name + ".part")
    if to.exists() or to.is_symlink():
        raise BackupError(f"{to} exists already: name a new file")
    try:
        folder.mkdir(0o700, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise BackupError(f"{folder} cannot be made: {error.strerror}") from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"another backup to {to} is being made") from None
        part = folder / "events.db"
        _empty(folder)  # what one that was killed has left
        try:
            yield part
            os.link(part, to)
            _sync_folder(to.parent)
        except OSError as error:
            raise BackupError(f"{to} cannot be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                _empty(folder)
                folder.rmdir()
    finally:
        os.close(fd)


def _empty(folder: Path) -> None:
    for left in folder.iterdir():
        left.unlink()


@contextmanager
def _named_at_last(to: Path) -> Iterator[tuple[Path, int]]:
    """Yield a new, private file beside `to`, which gets that name once it is whole and on disk.

    Also yields its descriptor: to open one more and close it would drop SQLite's locks.
    """
    part = to.with_name(to.name + ".part")
    try:
        if to.exists() or to.is_symlink():
            raise BackupError(f"{to} exists already: name a new file")
        fd = open_private(part, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise BackupError(f"{part} cannot be made: {error.strerror}") from error
    except LogOpenError as error:
        raise BackupError(str(error)) from error
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"another backup to {to} is being made") from None
        try:
            os.ftruncate(fd, 0)  # what one that was killed has left
            yield part, fd
            os.fsync(fd)
            # A link, unlike a renaming, does not take the place of a file that came meanwhile.
            os.link(part, to)
            part.unlink()
            _sync_folder(to.parent)
        except OSError as error:
            raise BackupError(f"{to} cannot be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                part.unlink()
    finally:
        os.close(fd)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _copy(files: LogFiles, to: Path, fd: int, told: Progress) -> None:
    if not files.database.is_file():
        raise BackupError(f"there is no log at {files.database}")
    with (
        closing(open_beside(files.database, files.wal)) as source,
        closing(sqlite3.connect(to, isolation_level=None)) as target,
    ):
        # Only a file that is whole gets its name, so the order of what is written does not matter.
        target.execute("PRAGMA synchronous = OFF")
        target.execute("PRAGMA cache_size = 16")  # what is copied goes to the file at once
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # from here on one state
        began = time.monotonic()

        def step_done(_: int, remaining: int, total: int) -> None:
            nonlocal began
            told("copying pages", total - remaining, total)
            os.fsync(fd)
            if remaining:
                time.sleep((time.monotonic() - began) * _PAUSE_SHARE)
            began = time.monotonic()

        source.backup(target, pages=_STEP_PAGES, progress=step_done)
        # One file, complete by itself.
        target.execute("PRAGMA journal_mode = DELETE")
        mark_as_backup(target)
