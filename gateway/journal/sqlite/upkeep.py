"""Upkeep: what the log takes on the disk, and how room is given back.

The database is made of pages. Deleting leaves pages free for what comes next; only when far more
are free than that needs is the file made smaller. What is stored goes to the write-ahead log first
and is folded into the database from there.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.journal.sqlite.faults import is_for_want_of_room
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.lock import FileLock, Mark
from gateway.journal.sqlite.reserve import LOG_BYTES_MIN, Reserve
from gateway.journal.sqlite.schema import BUSY_TIMEOUT_MS, WAL_BYTES, read_meta

# The share of the retention's size that deletion leaves free, so that what comes until it is asked
# for again finds room in the file.
_HEADROOM = 1 / 16

# A log is left this much, in bytes, whatever its retention: its tables take a quarter of it.
SIZE_BYTES_MIN = 256 * 1_024

# Pages that one step gives back, so that appends wait for some milliseconds at the most.
_SHRINK_PAGES = 256

# Free pages are given back when they are more than half of the file and more than this, in bytes.
_FREE_BYTES_MIN = 16 * 2**20

# Of a write-ahead log above this, in bytes, whoever runs the gateway should know.
_WAL_ALARMING_BYTES = 8 * WAL_BYTES

# How much is stored before it is seen to it that there is a reserve, in bytes: a disk may be filled
# between two calls of `tidy`.
_RESERVE_AFTER_BYTES = 4 * 2**20

# How much is done in one step while the disk is full: what it writes must fit in the reserve.
_CRAMPED_EVENTS, _CRAMPED_PAGES = 50, 64

_log = logging.getLogger(__name__)


class Upkeep:
    """Looks after the files by the writer's connection, and in its thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        files: LogFiles,
        lock: FileLock,
        reserve: Reserve,
        *,
        cramped: bool,
    ) -> None:
        self._connection = connection
        self._files = files
        self._lock = lock
        self._reserve = reserve
        self._page_bytes = _number(connection, "page_size")
        self._mark = Mark.of(read_meta(connection))
        # What had been changed by this connection when everything was folded last.
        self._folded_changes: int | None = None
        # Whether the disk has been full, and there is no reserve yet for the next time.
        self._cramped = cramped
        self._unseen_bytes = 0

    def presses(self, size_bytes: int) -> bool:
        """Tell whether events must go: for their size, or because the disk has been full."""
        return self._cramped or self.excess(size_bytes) > 0

    def excess(self, size_bytes: int) -> int:
        """Return how many bytes of events are to go from a database that may be so large.

        Raises sqlite3.Error.
        """
        free = _number(self._connection, "freelist_count")
        used = (_number(self._connection, "page_count") - free) * self._page_bytes
        return used - round(max(size_bytes, SIZE_BYTES_MIN) * (1 - _HEADROOM))

    def stored(self, bytes_: int) -> None:
        """Take note of what was stored. Never raises."""
        self._unseen_bytes += bytes_
        if self._unseen_bytes > _RESERVE_AFTER_BYTES:
            self._unseen_bytes = 0
            self._keep_reserve()

    def failed(self) -> None:
        """Take note that something could not be written: the next `tidy` tries whether it can."""
        self._folded_changes = None

    def within_room(self, delete: Callable[[int], int], events: int) -> int:
        """Call `delete` with how many events it may delete, and return what it returns.

        When the disk is full, it is called again with few of them and the reserve given up, and
        the room that it frees is given back at once. Raises sqlite3.Error.
        """
        if not self._cramped:
            try:
                return delete(events)
            except sqlite3.Error as error:
                if not is_for_want_of_room(error):
                    raise
            self._connection.rollback()
            self._make_room()
        deleted = delete(min(events, _CRAMPED_EVENTS))
        if deleted:
            # What was deleted is so, whatever comes of the rest: the next step meets the error.
            with suppress(sqlite3.Error):
                self._give_back(_CRAMPED_PAGES)
                self._checkpoint("TRUNCATE")
        return deleted

    def tidy(self, size_bytes: int) -> bool:
        """Do a step of what is to be done; returns whether there is more. Raises sqlite3.Error."""
        if self._cramped:
            return self._tidy_cramped()
        surplus = self._surplus(max(size_bytes, SIZE_BYTES_MIN))
        if surplus > 0:
            try:
                return self._give_back(min(surplus, _SHRINK_PAGES)) > 0
            except sqlite3.Error as error:
                if not is_for_want_of_room(error):
                    raise
            self._connection.rollback()
            self._make_room()
            return True
        self.fold()
        self._keep_reserve()
        return False

    def fold(self) -> None:
        """Fold the write-ahead log into the database, unless somebody reads from it right now.

        Raises sqlite3.Error.
        """
        size = _size(self._files.wal)
        if size <= WAL_BYTES and self._connection.total_changes == self._folded_changes:
            return
        mark = Mark(self._mark.epoch, self._mark.folded + 1)
        self._connection.execute("UPDATE meta SET value = ? WHERE key = 'folded'", (mark.folded,))
        self._mark = mark
        # Beginning again at the file's start is quicker than to let it grow anew.
        if self._checkpoint("TRUNCATE" if size > WAL_BYTES else "RESTART"):
            self._folded_changes = self._connection.total_changes
            self._lock.leave(mark)
        elif size > _WAL_ALARMING_BYTES:
            _log.warning(
                "%s has grown to %d MiB because another program keeps the log open for reading;"
                " it shrinks when that program ends",
                self._files.wal,
                size // 2**20,
            )

    def save(self) -> None:
        """Fold everything into the file that is open, whatever names are gone. Never raises.

        It then is complete by itself, and a write-ahead log that still has a name is empty: no
        other file that is put in the database's place takes it for its own.
        """
        try:
            self._checkpoint("TRUNCATE")
        except sqlite3.Error as error:
            _log.warning("the write-ahead log could not be checkpointed: %s", error)

    def _keep_reserve(self) -> None:
        # While cramped it would take from what is being freed for deleting.
        if not self._cramped and _size(self._files.database) > LOG_BYTES_MIN:
            self._reserve.keep()

    def _tidy_cramped(self) -> bool:
        given = self._give_back(_CRAMPED_PAGES)
        self._checkpoint("TRUNCATE")
        if self._reserve.keep():
            self._cramped = False
            return True
        return given > 0

    def _make_room(self) -> None:
        """Take what room there is on a full disk, for deleting."""
        if not self._cramped:
            _log.warning("the disk is full; deleting what exceeds the retention in small steps")
        self._cramped = True
        self._reserve.give_up()
        self._checkpoint("TRUNCATE")

    def _surplus(self, size_bytes: int) -> int:
        """Return how many free pages are to be given back."""
        pages = _number(self._connection, "page_count")
        free = _number(self._connection, "freelist_count")
        if free > pages / 2 and free * self._page_bytes > _FREE_BYTES_MIN:
            return free
        return min(free, pages - size_bytes // self._page_bytes)

    def _give_back(self, pages: int) -> int:
        """Make the file smaller by up to so many free pages; returns by how many."""
        before = _number(self._connection, "page_count")
        # A script: a statement without columns is stepped only once by `execute`, for one page.
        self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")
        return before - _number(self._connection, "page_count")

    def _checkpoint(self, mode: str) -> bool:
        """Fold, and say whether everything was. Readers are not waited for."""
        connection = self._connection
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            (busy, _, _) = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        return not busy


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (value,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(value)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
