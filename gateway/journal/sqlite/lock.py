"""The lock: one gateway for one log, whatever names the log has."""

import errno
import os
import re
import socket
import stat
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gateway.journal.errors import LogOpenError
from gateway.journal.sqlite.birth import Birth
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.private import make_folder, narrow, open_private

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

# Where in the database its own lock lies. SQLite stores nothing in the page that begins at its
# PENDING_BYTE, and locks the first 512 bytes of it (sqlite.org/c3ref/c_fcntl, os.h); this is behind
# them, so that neither lock is in the other's way.
_LOCKED_BYTE = 0x4000_0000 + 1_024

# Linux's locks of an open file, not of a process: SQLite, which opens and closes the same file in
# this process, would drop the latter (sqlite.org/howtocorrupt.html, 2.2). 0 elsewhere.
_SET_OWN_LOCK: int = getattr(fcntl, "F_OFD_SETLK", 0)

# `struct flock` with the locked range; the process must be 0 for a lock of this kind.
_FLOCK = "hhqqi0q"

_HELD = (errno.EACCES, errno.EAGAIN)

_NOTE = re.compile(
    r"(?P<holder>[^\n]*)\n(?:folded (?P<folded>\d+) of (?P<epoch>[0-9a-f]+)\n)?"
    r"(?P<renew>to be renewed\n)?\Z"
)
_NOTE_BYTES_MAX = 1_024


class Mark(NamedTuple):
    """How far a log's database has come: how often everything was folded into it."""

    epoch: str
    folded: int

    @classmethod
    def of(cls, meta: Mapping[str, int | bytes]) -> "Mark":
        """Return what a database says of itself; see `schema.read_meta`."""
        return cls(bytes(meta["epoch"]).hex(), int(meta["folded"]))

    def follows(self, earlier: "Mark") -> bool:
        """Whether this is the same log at that state or at a later one."""
        return self.epoch == earlier.epoch and self.folded >= earlier.folded


class FileLock:
    """Keeps a second gateway from writing to the same log.

    A name may come to mean another file, when a log is deleted and begun anew; a file may have
    another name, through a mount. So both are locked: a file beside the log, named after it, and
    the log's own file. The first also says who holds it, and what the last holder left.
    """

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self._named: int | None = None
        self._own: int | None = None
        self._holder = f"process {os.getpid()} on {socket.gethostname()}"
        # How far the log had come under this name when it was last known; None if that is unknown.
        self.left: Mark | None = None
        # Whether the log is to get a new epoch, because it was further once.
        self.is_to_renew = False

    def acquire(self) -> None:
        """Take the lock, making the directory and an empty file if need be.

        Raises LogOpenError if another process holds it or the path cannot be a log's.
        """
        try:
            make_folder(self._files.lock.parent)
            # Who can open it, to read, can lock it, too, and so keep every gateway out.
            self._named = open_private(self._files.lock, os.O_RDWR | os.O_CREAT)
            note = self._note()
            self._take(lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB), self._named, note)
            # Looked at before it is opened: to close it again would drop the locks of an SQLite
            # that has it open in this process.
            _must_be_usable(self._files)
            # SQLite makes its other files with the mode of this one.
            self._own = open_private(self._files.database, os.O_RDWR | os.O_CREAT)
            for left in (self._files.wal, self._files.shm, self._files.reserve):
                narrow(left)
            self._take(_lock_file, self._own, note)
        except OSError as error:
            self.release()
            raise LogOpenError(
                f"cannot open the event log {self._files.database}: {error.strerror}"
                f" ({error.filename or self._files.lock})"
            ) from error
        except BaseException:
            self.release()
            raise
        if note and note["folded"]:
            self.left = Mark(note["epoch"], int(note["folded"]))
        self.is_to_renew = bool(note and note["renew"])

    def birth(self, birth_of: Callable[[int], Birth]) -> Birth:
        """Return the birth of the log's file. Raises OSError."""
        assert self._own is not None
        # Of this descriptor: to open one more and close it would drop SQLite's locks.
        return birth_of(self._own)

    def leave(self, mark: Mark | None, *, is_to_renew: bool = False) -> None:
        """Note how far the log has come, for whoever opens it next; None if that is unknown.

        `is_to_renew` notes that it must get a new epoch before it is used.
        """
        assert self._named is not None
        self.left, self.is_to_renew = mark, is_to_renew
        text = f"{self._holder}\n"
        if mark is not None:
            text += f"folded {mark.folded} of {mark.epoch}\n"
        if is_to_renew:
            text += "to be renewed\n"
        data = text.encode()
        with suppress(OSError):  # on a full disk: without a note a mistake or two goes unnoticed
            os.lseek(self._named, 0, os.SEEK_SET)
            os.write(self._named, data)
            os.ftruncate(self._named, len(data))
            os.fsync(self._named)

    def release(self) -> None:
        """Give the lock back, after everything else has closed the log.

        The file beside the log stays, so that nobody locks a file that is gone.
        """
        for fd in (self._own, self._named):
            if fd is not None:
                os.close(fd)
        self._own = self._named = None

    def _take(self, lock: Callable[[int], None], fd: int, note: re.Match[str] | None) -> None:
        if fcntl is None:
            return
        try:
            lock(fd)
        except OSError as error:
            if error.errno not in _HELD:
                raise
            # Whoever locked the file under another name has left no note under this one.
            known = f" ({note['holder']})" if fd == self._named and note and note["holder"] else ""
            raise LogOpenError(
                f"another gateway is using the event log {self._files.database}{known}: stop it,"
                " or give this one a log of its own with GATEWAY_EVENT_LOG"
            ) from None

    def _note(self) -> re.Match[str] | None:
        assert self._named is not None
        text = os.read(self._named, _NOTE_BYTES_MAX).decode(errors="replace")
        return _NOTE.match(text)


def _lock_file(fd: int) -> None:
    if not _SET_OWN_LOCK:
        return
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _LOCKED_BYTE, 1, 0)
    try:
        fcntl.fcntl(fd, _SET_OWN_LOCK, wanted)
    except OSError as error:
        if error.errno in _HELD:
            raise
        # A file system that has no such locks; the file beside the log is locked all the same.


def _must_be_usable(files: LogFiles) -> None:
    """Raise LogOpenError if what the path leads to cannot be a log, or must not be used as one."""
    path = files.database
    unfolded = _size(files.wal) > 0
    try:
        found = path.stat()
    except FileNotFoundError:
        if unfolded:
            raise LogOpenError(
                f"the event log {path} is missing, but {files.wal} with the last of its events is"
                f" there: put {path.name} back, or remove {files.wal.name} and {files.shm.name} to"
                " begin an empty log"
            ) from None
        return
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise LogOpenError(
            f"the event log {path} is {kind}: name a file with GATEWAY_EVENT_LOG, such as"
            f" sqlite:///{path / 'events.db'}"
        )
    if found.st_nlink > 1:
        raise LogOpenError(
            f"the event log {path} has {found.st_nlink} names (hard links): its write-ahead log is"
            " found by its name, so that a second name damages it. Remove the others, which"
            f" `find / -xdev -samefile {path}` lists, or copy the file"
        )
    if found.st_size == 0 and unfolded:
        raise LogOpenError(
            f"the event log {path} is empty, but {files.wal} with the last of its events is not:"
            " the file was cut off. Restore it from a copy, or remove all of its files to begin an"
            " empty log"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
