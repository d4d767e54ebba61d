"""The watch: whether the log's files are still there, and still hold what was stored in them."""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from gateway.journal.errors import LogUnavailableError
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.lock import FileLock, Mark
from gateway.journal.sqlite.schema import read_meta_unfolded
from gateway.journal.sqlite.wal_frames import WalFrames

# A folder's time of change tells changes apart that are some milliseconds apart, on some file
# systems two seconds. Only one that is older than that has shown every change, in nanoseconds.
_SETTLED_AFTER_NS = 2_500_000_000

# How often the database is looked at while another program folds into it. After that the next
# commit looks again.
_LOOKS = 3


class _Folder(NamedTuple):
    """Which folder it is, and when a name in it last changed, in nanoseconds since 1970."""

    inode: int
    changed_ns: int


class _State(NamedTuple):
    """What tells one state of a file from another: its size in bytes and its time of change."""

    size: int
    changed_ns: int


class FileWatch:
    """Notices that the log's files are gone or not what they were: what is stored would be lost.

    A file that was deleted can be written to for as long as it is open, and is lost with the
    process. One that was truncated or overwritten takes new pages, and cannot be opened again or
    lacks them. Make it when the files are there and open; `close` it after SQLite has closed them.
    """

    def __init__(self, files: LogFiles, lock: FileLock) -> None:
        self._files = files
        self._lock = lock
        self._database = _identity(files.database)
        self._wal = _identity(files.wal)
        with ExitStack() as opened:
            self._frames = WalFrames(files)
            opened.callback(self._frames.close)
            # Closed after SQLite has closed the file, as those of the frames.
            self._fd = os.open(files.database, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, self._fd)
            self._opened = opened.pop_all()
        # How the folder was when both files were last found in it.
        self._settled: _Folder | None = None
        # How the database was when it was last found to be the log's, and how large in bytes.
        self._seen: _State | None = None
        self._size = 0
        self._harm: str | None = None

    @property
    def harm(self) -> str | None:
        """What has happened to the files' contents, and what to do; None while they are whole.

        It stays: what is written later may make a file look whole again. Nothing may be folded.
        """
        return self._harm

    def check(self) -> None:
        """Raise LogUnavailableError, which says what to do, if the files are not as they were.

        Two looks are enough for the names and for the database while nothing changes: each look
        gives the interpreter away, and this one stands before every commit.
        """
        if self._harm is None:
            self._check_contents()
        if self._harm is not None:
            raise LogUnavailableError(self._harm)
        now = self._folder()
        if now is not None and now == self._settled:
            return
        self._settled = None
        self.check_database()
        if _identity(self._files.wal) != self._wal:
            raise LogUnavailableError(
                f"{self._files.wal} was deleted or replaced while in use: nothing can be stored"
                " safely. Restart the gateway: what it has acknowledged is saved in the database"
            )
        if now is not None and time.time_ns() - now.changed_ns > _SETTLED_AFTER_NS:
            self._settled = now

    def check_database(self) -> None:
        """Raise LogUnavailableError if the path does not lead to the file that was opened."""
        found = _identity(self._files.database)
        if found == self._database:
            return
        happened = "deleted or moved" if found is None else "replaced by another file"
        raise LogUnavailableError(
            f"{self._files.database} was {happened} while in use: nothing can be stored safely. Put"
            " the previous file back, or restart the gateway, which then uses the file it finds or"
            " begins an empty log"
        )

    def close(self) -> None:
        """Let go of the files."""
        self._opened.close()

    def _check_contents(self) -> None:
        """Set `harm` if there is any."""
        if self._frames.are_missing():
            self._harm = (
                f"{self._files.wal} was truncated while in use: the newest events may be lost, and"
                " nothing can be stored safely. Restart the gateway, which continues from what is"
                " left and fetches the rest from Telnyx, and have subscribers start over"
            )
            return
        found = self._state()
        if found == self._seen:
            return
        for _ in range(_LOOKS):
            happened = self._happened(found)
            self._seen, found = found, self._state()
            if happened is None:
                self._size = self._seen.size
                return
            if found == self._seen:  # nobody has been writing to it meanwhile
                self.check_database()  # what was looked at
                self._harm = (
                    f"{self._files.database} was {happened} while in use: events are lost, and"
                    " nothing can be stored safely. Stop the gateway, then restore the log from a"
                    " copy, or move all of its files away to begin an empty log"
                )
                return
        self._seen = None

    def _happened(self, found: _State) -> str | None:
        """Return what has happened to the database if it is not the log's any more.

        It changes only when the write-ahead log is folded into it, by this gateway or by another
        program. Then it knows how often that was. It becomes smaller only after a vacuum, and then
        is as large as its header says; that says more than there is where folding ended halfway, as
        on a full disk.
        """
        whole = self._size_by_header()
        if found.size < self._size and not 0 < whole <= found.size:
            return "truncated or emptied"
        left = self._lock.left
        if left is None or whole > found.size:
            return None
        meta = read_meta_unfolded(self._files.database)
        if meta is None:
            return "overwritten or damaged"
        return None if Mark.of(meta).follows(left) else "overwritten"

    def _size_by_header(self) -> int:
        """Return how large the database should be by its header, in bytes, 0 if it has none.

        See https://www.sqlite.org/fileformat.html#the_database_header.
        """
        header = os.pread(self._fd, 32, 0)
        if len(header) < 32 or not header.startswith(b"SQLite format 3\0"):
            return 0
        page_bytes = int.from_bytes(header[16:18], "big")
        pages = int.from_bytes(header[28:32], "big")
        return pages * (65_536 if page_bytes == 1 else page_bytes)

    def _state(self) -> _State:
        found = os.fstat(self._fd)
        return _State(found.st_size, found.st_mtime_ns)

    def _folder(self) -> _Folder | None:
        try:
            found = os.stat(self._files.database.parent)
        except OSError:
            return None
        return _Folder(found.st_ino, found.st_mtime_ns)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file a path leads to, None if to none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
