"""The log's files: their names, and whether they are still those that were opened."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.events.log import LogOpenError, LogUnavailableError

# A folder's time of change tells changes apart that are some milliseconds apart, on some file
# systems two seconds. Only one that is older than that has shown every change, in nanoseconds.
_SETTLED_AFTER_NS = 2_500_000_000


@dataclass(frozen=True, slots=True)
class LogFiles:
    """The names of the files that make up a log. Use `of`."""

    database: Path

    @classmethod
    def of(cls, path: Path) -> "LogFiles":
        """Return the files of the log at a path, symbolic links followed. Raises LogOpenError.

        All names come from the file that a link leads to, as SQLite's own do: two names for one
        log must not mean two locks.
        """
        try:
            return cls(path.resolve())
        except (OSError, RuntimeError) as error:  # RuntimeError is Python 3.11's for a loop
            raise LogOpenError(f"cannot open the event log {path}: {error}") from None

    @property
    def wal(self) -> Path:
        """The write-ahead log: what has been stored and not yet been folded into the database."""
        return self._beside("-wal")

    @property
    def shm(self) -> Path:
        """The index of the write-ahead log. It holds nothing that cannot be made again."""
        return self._beside("-shm")

    @property
    def lock(self) -> Path:
        """What keeps a second gateway out."""
        return self._beside(".lock")

    @property
    def reserve(self) -> Path:
        """Room on the disk that is kept for deleting."""
        return self._beside(".reserve")

    def _beside(self, ending: str) -> Path:
        return self.database.with_name(self.database.name + ending)


class _Folder(NamedTuple):
    """Which folder it is, and when a name in it last changed, in nanoseconds since 1970."""

    inode: int
    changed_ns: int


class FileWatch:
    """Notices that the log's files are gone or cut short, so that nothing is stored to be lost.

    A file that was deleted can be written to for as long as it is open, and is lost with the
    process. One that was cut short takes new pages, and cannot be opened again or is empty. Make
    it when the files are there and open.
    """

    def __init__(self, files: LogFiles) -> None:
        self._files = files
        self._database = _identity(files.database)
        self._wal = _identity(files.wal)
        # How the folder was when both files were last found in it.
        self._settled: _Folder | None = None
        # How large the database was when it was last whole, in bytes; None once it was cut short:
        # what is written to it later may make it as large again.
        self._size: int | None = 0
        self._check_size()

    def check(self) -> None:
        """Raise LogUnavailableError, which says what to do, if a file is gone.

        A look at the folder is enough for the names while nothing in it changes: each look gives
        the interpreter away, and this one stands before every commit.
        """
        self._check_size()
        now = self._folder()
        if now is not None and now == self._settled:
            return
        self._settled = None
        self.check_database()
        if _identity(self._files.wal) != self._wal:
            raise LogUnavailableError(
                f"{self._files.wal} was deleted or replaced while the gateway was using it, so"
                " that nothing can be stored safely: restart the gateway. What it has acknowledged"
                " has been saved in the database"
            )
        if now is not None and time.time_ns() - now.changed_ns > _SETTLED_AFTER_NS:
            self._settled = now

    def _check_size(self) -> None:
        """Raise LogUnavailableError if the database has been cut short.

        It becomes smaller only when a checkpoint follows a vacuum, ours or another program's, and
        is then as large as its header says.
        """
        if self._size is not None:
            try:
                size = os.stat(self._files.database).st_size
            except OSError:
                return  # that it is gone is for the look at the names
            if size >= self._size or 0 < _size_by_header(self._files.database) <= size:
                self._size = size
                return
            if _identity(self._files.database) != self._database:
                return  # so is that it is another file
            self._size = None
        raise LogUnavailableError(
            f"{self._files.database} was cut short or emptied while the gateway was using it, so"
            " that events are lost and nothing can be stored safely: stop the gateway, then restore"
            " the log from a copy, or move all of its files away to begin an empty log"
        )

    def check_database(self) -> None:
        """Raise LogUnavailableError if the path does not lead to the file that was opened."""
        found = _identity(self._files.database)
        if found == self._database:
            return
        happened = "deleted or moved" if found is None else "replaced by another file"
        raise LogUnavailableError(
            f"{self._files.database} was {happened} while the gateway was using it, so that"
            " nothing can be stored safely: put back the file that was there, or restart the"
            " gateway, which then uses the file that it finds or begins an empty log"
        )

    def _folder(self) -> _Folder | None:
        try:
            found = os.stat(self._files.database.parent)
        except OSError:
            return None
        return _Folder(found.st_ino, found.st_mtime_ns)


def _size_by_header(path: Path) -> int:
    """Return how large a database is by its own header, in bytes, 0 if it has none.

    See https://www.sqlite.org/fileformat.html#the_database_header.
    """
    try:
        with path.open("rb") as file:
            header = file.read(32)
    except OSError:
        return 0
    if len(header) < 32 or not header.startswith(b"SQLite format 3\0"):
        return 0
    page_bytes = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    return pages * (65_536 if page_bytes == 1 else page_bytes)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return which file a path leads to, None if to none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
