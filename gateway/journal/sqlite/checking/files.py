"""The log's files from outside: whether they are there, whose they are, and who may read them."""

import os
import stat
from pathlib import Path

from gateway.journal.findings import Findings
from gateway.journal.sqlite.files import LogFiles

_PART = "file"

_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_HEADER_BYTES = 100
_MAGIC = b"SQLite format 3\0"

# Bytes 18 and 19 of the header: how the file may be written and read, 1 for a rollback journal and
# 2 for a write-ahead log (https://www.sqlite.org/fileformat.html).
_JOURNALS = (b"\1\1", b"\2\2")


def check_files(files: LogFiles, findings: Findings) -> bool:
    """Look at a log's files; returns whether there is a database to look into."""
    path = files.database
    try:
        found = path.stat()
    except OSError as error:
        findings.add(_PART, f"{path} cannot be read: {error.strerror}")
        return False
    if not stat.S_ISREG(found.st_mode):
        findings.add(_PART, f"{path} is no regular file")
        return False
    if found.st_nlink > 1:
        findings.add(_PART, f"{path} has {found.st_nlink} names (hard links): no gateway uses it")
    for each in (path, files.wal, files.shm, files.lock, files.reserve):
        _check_rights(each, found.st_uid, findings)
    mode = path.parent.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        findings.add(_PART, f"{path.parent} is writable by everybody: `chmod o-w {path.parent}`")
    return _check_header(path, files, findings)


def _check_rights(path: Path, owner: int, findings: Findings) -> None:
    try:
        found = os.lstat(path)
    except OSError:
        return
    if stat.S_ISLNK(found.st_mode):
        findings.add(_PART, f"{path} is a symbolic link, which no gateway follows: remove it")
        return
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        findings.add(_PART, f"{path} is open to others (mode {mode:03o}): `chmod 600 {path}`")
    if found.st_uid != owner:
        findings.add(_PART, f"{path} does not belong to the database's owner (user {owner})")


def _check_header(path: Path, files: LogFiles, findings: Findings) -> bool:
    # Before SQLite opens it: to close a file drops all locks that the process has on it.
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        findings.add(_PART, f"{path} cannot be read: {error.strerror}")
        return False
    if not header:
        told = " and its write-ahead log is not" if _has_content(files.wal) else ""
        findings.add(_PART, f"{path} is empty{told}")
        return False
    if not header.startswith(_MAGIC):
        findings.add(_PART, f"{path} is no SQLite database, or its beginning is damaged")
        return False
    if header[18:20] not in _JOURNALS:
        findings.add(_PART, f"{path} cannot be written: its header is damaged")
    return True


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
