"""Opening: everything that must hold before the first event is read or stored."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.format import EventFormat
from gateway.journal.moves import AS_IT_WAS, Opening
from gateway.journal.sqlite.birth import Birth, birth_of
from gateway.journal.sqlite.emptying import empty_unless_of
from gateway.journal.sqlite.faults import UNREADABLE, described, is_for_want_of_room
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.framed import fit_framing
from gateway.journal.sqlite.key_columns import fit_keys
from gateway.journal.sqlite.lock import FileLock, Mark
from gateway.journal.sqlite.renewal import note_birth, renew, why_another
from gateway.journal.sqlite.reserve import Reserve
from gateway.journal.sqlite.schema import (
    Copied,
    marks_in,
    open_for_reading,
    open_for_writing,
    read_epoch,
    read_meta,
    read_meta_unfolded,
)
from gateway.journal.sqlite.upkeep import Upkeep
from gateway.journal.sqlite.watch import FileWatch

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """The files of a log that is locked and open for writing."""

    files: LogFiles
    connection: sqlite3.Connection
    watch: FileWatch
    upkeep: Upkeep
    lock: FileLock

    def close(self) -> None:
        """Close them, when nothing else has them open.

        The last connection to go folds the write-ahead log into the database. If the files have
        come to harm, one that may not fold goes last: each file is left as it is.
        """
        with suppress(LogUnavailableError, OSError):
            self.watch.check()
        with ExitStack() as closing_last:
            if self.watch.harm is not None:
                _log.error("the event log is closed without a checkpoint: %s", self.watch.harm)
                with suppress(*UNREADABLE):
                    guard = closing_last.enter_context(
                        closing(open_for_reading(self.files.database))
                    )
                    guard.execute("SELECT count(*) FROM sqlite_schema")  # takes its lock
            self.connection.close()
        self.watch.close()
        self.lock.release()


def open_files(
    path: Path,
    format_: EventFormat,
    birth_of: Callable[[int], Birth] = birth_of,
    opening: Opening = AS_IT_WAS,
    copied: Copied | None = None,
) -> OpenFiles:
    """Lock and open the log at a path, making it first where there is none.

    One that is a copy of another log, or an older state of this one, gets a new epoch. `birth_of`
    tells of an open file which one it is, `opening` says what a log is made with, and whether one
    that does not live is opened. `copied` says which log this one is meant to be a copy of: it has
    the epoch of that, and a file with a copy of another log is emptied. Raises LogOpenError.
    """
    files = LogFiles.of(path)
    lock = FileLock(files)
    lock.acquire()
    try:
        birth = lock.birth(birth_of)
        if copied is not None:
            empty_unless_of(files, copied)
        found = _found(files, lock.left)
        # What was left for another file must not hold for this one. That this one has to be renewed
        # must hold until it is, whatever happens meanwhile.
        is_to_renew = copied is None and (found.is_older or lock.is_to_renew)
        lock.leave(found.mark, is_to_renew=is_to_renew)
        connection, cramped = _connected(files, opening, copied)
        try:
            opening.check(marks_in(read_meta(connection)), files.database)
            if copied is None:
                _know_itself(connection, files, lock, birth)
            fit_framing(connection, format_.framing_of(read_epoch(connection)))
            fit_keys(connection, format_)
            upkeep = Upkeep(connection, files, lock, Reserve(files.reserve), cramped=cramped)
            with suppress(sqlite3.Error):  # on a full disk: the next upkeep tries again
                upkeep.fold()
            return OpenFiles(files, connection, FileWatch(files, lock), upkeep, lock)
        except UNREADABLE as error:
            connection.close()
            raise LogOpenError(
                f"cannot open the event log {described(error, files.database)}"
            ) from error
        except LogOpenError:
            connection.close()
            raise
        except OSError as error:
            connection.close()
            raise LogOpenError(f"cannot open the event log {files.database}: {error}") from error
    except BaseException:
        lock.release()
        raise


class _Found(NamedTuple):
    """What there is under a log's name.

    `mark` is how far it has come, None if it is not what was there last and not known; `is_older`
    is whether it has been further under this name.
    """

    mark: Mark | None
    is_older: bool = False


def _found(files: LogFiles, left: Mark | None) -> _Found:
    """Compare the database with what was left when it was here last.

    Raises LogOpenError if it is another one or an older state, and the write-ahead log is not its
    own: SQLite takes any that it finds for the database's own, and one that was begun when the
    database was further than it is now would damage it.
    """
    meta = read_meta_unfolded(files.database)
    if left is None or meta is None:
        return _Found(None)  # what is wrong with it, if anything is, shows when it is opened
    mark = Mark.of(meta)
    if mark.follows(left):
        return _Found(left)
    if files.wal.exists() and files.wal.stat().st_size:
        raise LogOpenError(
            f"the event log {files.database} was replaced, such as by a copy, and {files.wal} still"
            " belongs to the file that was there before: with it, the log would be damaged. To use"
            f" the file as it is, remove {files.wal.name} and {files.shm.name}; or put back the"
            " file that was there"
        )
    is_older = mark.epoch == left.epoch
    return _Found(mark if is_older else None, is_older)


def _know_itself(
    connection: sqlite3.Connection, files: LogFiles, lock: FileLock, birth: Birth
) -> None:
    """Have a log know its own file, and one that is a copy get a new epoch.

    Raises LogOpenError and what is UNREADABLE.
    """
    why = why_another(read_meta(connection), birth, is_older=lock.is_to_renew)
    if why is None:
        note_birth(connection, birth)
        return
    _log.warning(
        "the event log %s %s: it gets a new epoch, so that cursors from before are rejected"
        " (EPOCH_CHANGED); have subscribers start over",
        files.database,
        why,
    )
    renew(connection, files, birth)
    lock.leave(Mark.of(read_meta(connection)))


def _connected(
    files: LogFiles, opening: Opening, copied: Copied | None
) -> tuple[sqlite3.Connection, bool]:
    """Open the database; also return whether that took the last room on the disk."""
    try:
        return open_for_writing(files.database, opening, copied), False
    except LogOpenError as error:
        # Opening writes, too. The log must come up for what it holds to be deleted.
        if not (is_for_want_of_room(error.__cause__) and Reserve(files.reserve).give_up()):
            raise
        return open_for_writing(files.database, opening, copied), True
