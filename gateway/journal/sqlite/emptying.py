"""Emptying: a file with a copy that is of no more use is begun anew, and no other file ever is."""

import logging
import os
import struct

from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.schema import (
    COPY_APPLICATION_ID,
    SCHEMA_VERSION,
    Copied,
    read_meta_unfolded,
)

# Where the header of an SQLite file has what `PRAGMA user_version` and `application_id` say
# (sqlite.org/fileformat.html, "the database header").
_VERSION_AT, _APPLICATION_AT, _HEADER_BYTES = 60, 68, 100

_log = logging.getLogger(__name__)


def empty_unless_of(files: LogFiles, copied: Copied) -> None:
    """Empty a file with a copy of another log, or a damaged one, or one that is to be made anew.

    It stays the same file, which is locked, and nothing has it open. Raises OSError.
    """
    if _header_number(files, _APPLICATION_AT) != COPY_APPLICATION_ID:
        return  # what is wrong with it, if anything is, shows when it is opened
    if not copied.anew and not _is_stale(files, copied.epoch):
        return
    for beside in (files.wal, files.shm):
        beside.unlink(missing_ok=True)
    os.truncate(files.database, 0)


def epoch_of(files: LogFiles) -> bytes | None:
    """Return of which log a file is a copy; None if it is none, or of no use. Raises OSError."""
    if _header_number(files, _APPLICATION_AT) != COPY_APPLICATION_ID:
        return None
    meta = read_meta_unfolded(files.database)
    return None if meta is None else bytes(meta["epoch"])


def _is_stale(files: LogFiles, epoch: bytes) -> bool:
    meta = read_meta_unfolded(files.database)
    if meta is None:
        _log.warning("the index %s cannot be read, and is built anew", files.database)
    elif bytes(meta["epoch"]) != epoch:
        _log.warning("the index %s is of another log, and is built anew", files.database)
    elif _header_number(files, _VERSION_AT) != SCHEMA_VERSION:
        _log.info("the index %s is of another release, and is built anew", files.database)
    else:
        return False
    return True


def _header_number(files: LogFiles, at: int) -> int | None:
    with files.database.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(b"SQLite format 3\0"):
        return None
    (number,) = struct.unpack_from(">I", header, at)
    return int(number)
