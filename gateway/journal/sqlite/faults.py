"""What SQLite's errors mean for a log, and what to do about them."""

import sqlite3
from pathlib import Path
from typing import TypeAlias

# The lower byte of an extended code is its family (sqlite.org/rescode.html).
_FAMILY = 0xFF

_DAMAGE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_NOTADB,
)

_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)

_RESTORE = (
    "Stop the gateway, then restore a copy (without {name}-wal and {name}-shm), or save what can be"
    " read with `sqlite3 {path} .recover`, or move all of its files away to begin an empty log"
)

_ADVICE = {
    sqlite3.SQLITE_CORRUPT: f"it is damaged. {_RESTORE}",
    # All statements are known to be right, so what they are wrong about is the file.
    sqlite3.SQLITE_ERROR: f"it is damaged. {_RESTORE}",
    sqlite3.SQLITE_TOOBIG: f"it is damaged. {_RESTORE}",
    sqlite3.SQLITE_MISMATCH: f"it is damaged. {_RESTORE}",
    sqlite3.SQLITE_NOTADB: f"it is another program's file, or damaged. {_RESTORE}",
    sqlite3.SQLITE_FULL: "the disk is full: make room on it, or restart the gateway with a smaller"
    " GATEWAY_RETENTION_SIZE or GATEWAY_RETENTION_AGE",
    sqlite3.SQLITE_IOERR: "the disk fails, or a quota or file size limit is reached: see the"
    " system log",
    sqlite3.SQLITE_READONLY: "the gateway may not write to it: check its owner and mount options",
    sqlite3.SQLITE_CANTOPEN: "check that the gateway may read and write it and its folder",
    sqlite3.SQLITE_PERM: "check that the gateway may read and write it and its folder",
    sqlite3.SQLITE_BUSY: "another program holds a lock on it: end that program",
    sqlite3.SQLITE_CONSTRAINT: "another program has written to it: end that program, and restart"
    " the gateway",
}


class DamagedError(Exception):
    """SQLite found nothing wrong, and yet this is not what was stored."""


# What reading a log may raise; a text that is not UTF-8 among it.
Unreadable: TypeAlias = sqlite3.Error | DamagedError | UnicodeDecodeError
UNREADABLE = (sqlite3.Error, DamagedError, UnicodeDecodeError)


def described(error: Unreadable, database: Path) -> str:
    """Return a text that says what is wrong with the log at a path and what to do."""
    advice = _ADVICE.get(_family(error), "").format(name=database.name, path=database)
    return f"{database}: {error}" + (f"; {advice}" if advice else "")


def is_for_want_of_room(error: BaseException | None) -> bool:
    """Whether a write may have failed because the disk, a quota or a limit is full."""
    return isinstance(error, sqlite3.Error) and _family(error) in _NO_ROOM


def is_damage(error: BaseException | None) -> bool:
    """Whether the file is not what it was, rather than the machine in the way."""
    return isinstance(error, UNREADABLE) and _family(error) in _DAMAGE


def _family(error: Unreadable) -> int:
    if not isinstance(error, sqlite3.Error):
        return sqlite3.SQLITE_CORRUPT
    # What the module itself raises has no code. The one such error that an event log can cause is
    # again a text that is not UTF-8.
    no_code = sqlite3.SQLITE_CORRUPT if type(error) is sqlite3.OperationalError else 0
    code: int = getattr(error, "sqlite_errorcode", no_code)
    return code & _FAMILY
