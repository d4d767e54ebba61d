"""Renewal: a copy of a log is another log, with an epoch of its own.

Its events keep their numbers, and what is stored from now on gets numbers that the log it was
copied from may have given to other events. So no cursor of that log may be taken for one of this.
"""

import secrets
import sqlite3
from collections.abc import Mapping

from gateway.journal.errors import LogOpenError
from gateway.journal.moves import DEPARTED
from gateway.journal.ports import EPOCH_BYTES
from gateway.journal.sqlite.birth import Birth
from gateway.journal.sqlite.faults import is_for_want_of_room
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.framed import FRAMED_BY, NOT_FRAMED
from gateway.journal.sqlite.schema import read_meta, set_meta

# What a backup says of itself until it is opened to be used.
_IS_BACKUP = "is_backup"


def mark_as_backup(connection: sqlite3.Connection) -> None:
    """Have a log get a new epoch when it is opened the next time; the caller commits.

    That a move took away the log it was made from does not hold for it.
    """
    connection.execute("DELETE FROM meta WHERE key = ?", (DEPARTED,))
    set_meta(connection, {_IS_BACKUP: 1})


def why_another(meta: Mapping[str, int | bytes], birth: Birth, *, is_older: bool) -> str | None:
    """Return why a log is not the one that its epoch names, in words for people; None if it is.

    `birth` is that of its file, and `is_older` whether the log has been further under its name.
    """
    if meta.get(_IS_BACKUP):
        return "is a restored backup"
    if is_older:
        return "is an older state of the log, for example a restored copy"
    if not birth.is_of(meta):
        return "is a copy of another file, or was moved here from another disk"
    return None


def renew(connection: sqlite3.Connection, files: LogFiles, birth: Birth) -> None:
    """Give a log a new epoch, in its database itself, and have it know its file.

    Its frames hold the old one, and have to be made anew. Raises sqlite3.Error, and LogOpenError
    if another program is in the way.
    """
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(
        "UPDATE meta SET value = ? WHERE key = 'epoch'", (secrets.token_bytes(EPOCH_BYTES),)
    )
    connection.execute("DELETE FROM meta WHERE key = ?", (_IS_BACKUP,))
    set_meta(connection, {FRAMED_BY: NOT_FRAMED, **birth.noted()})
    connection.commit()
    # What is noted beside the log is compared with the database by itself.
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise LogOpenError(
            f"the event log {files.database} is a copy that gets a new epoch, and another program"
            " is reading it: end that program"
        )


def note_birth(connection: sqlite3.Connection, birth: Birth) -> None:
    """Have a log know its file, if it does not and there is room. Raises sqlite3.Error."""
    if birth.is_noted_in(read_meta(connection)):
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        set_meta(connection, birth.noted())
        connection.commit()
    except sqlite3.Error as error:
        if not is_for_want_of_room(error):
            raise
        connection.rollback()
