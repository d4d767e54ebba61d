"""The check of a log in a file, beside the gateway that uses it, if there is one.

It reads only. Beside a gateway it reads one state of the log for each step, so that the write-ahead
log can be folded in between; only the structure of the database is looked at in one go.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway.journal.content import Content, Progress, unheard
from gateway.journal.errors import LogOpenError
from gateway.journal.findings import Findings, Report
from gateway.journal.ports import EPOCH_BYTES
from gateway.journal.reading import Span
from gateway.journal.sqlite.checking.events import EventCheck
from gateway.journal.sqlite.checking.files import check_files
from gateway.journal.sqlite.faults import UNREADABLE
from gateway.journal.sqlite.files import LogFiles
from gateway.journal.sqlite.schema import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    open_beside,
    read_meta,
)

# Lines of SQLite's own check that are kept.
_LINES_MAX = 100

# SQLite's instructions between two signs of life while it checks the structure.
_INSTRUCTIONS = 1_000_000


def check_log(path: Path, content: Content, told: Progress = unheard) -> Report:
    """Look through the log at a path, and say what is wrong with it. Never raises for the log."""
    findings = Findings()
    try:
        files = LogFiles.of(path)
    except LogOpenError as error:
        findings.add("file", str(error))
        return _report(findings)
    if not check_files(files, findings):
        return _report(findings)
    try:
        with closing(open_beside(files.database, files.wal)) as connection:
            return _checked(connection, content, findings, told)
    except UNREADABLE as error:
        findings.add("database", f"it cannot be read: {error}")
        return _report(findings)


def _report(
    findings: Findings,
    epoch: bytes | None = None,
    span: Span | None = None,
    events: int = 0,
    without_checksum: int = 0,
) -> Report:
    return Report(epoch, span, events, without_checksum, findings.kept, findings.count)


def _checked(
    connection: sqlite3.Connection, content: Content, findings: Findings, told: Progress
) -> Report:
    if not _check_kind(connection, findings):
        return _report(findings)
    _check_structure(connection, findings, told)
    try:
        meta = read_meta(connection)
    except UNREADABLE as error:
        findings.add("database", f"what the log says of itself cannot be read: {error}")
        return _report(findings)
    epoch, pruned = bytes(meta["epoch"]), int(meta["pruned_through"])
    if len(epoch) != EPOCH_BYTES:
        findings.add("database", f"its epoch has {len(epoch)} bytes instead of {EPOCH_BYTES}")
    if pruned < 0 or int(meta["folded"]) < 0:
        findings.add("database", "what it says of itself is negative")
    _check_checkpoints(connection, content, findings)
    check = EventCheck(connection, content, epoch, findings)
    check.run(told)
    return _report(findings, epoch, check.span, check.events, check.without_checksum)


def _check_kind(connection: sqlite3.Connection, findings: Findings) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID:
        findings.add("database", "it is another program's database, not an event log, or damaged")
        return False
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        findings.add("database", f"it has version {version}, this gateway reads {SCHEMA_VERSION}")
        return False
    return True


def _check_structure(connection: sqlite3.Connection, findings: Findings, told: Progress) -> None:
    with _alive(connection, told):
        try:
            rows = connection.execute(f"PRAGMA integrity_check({_LINES_MAX})").fetchall()
        except UNREADABLE as error:
            rows = [(str(error),)]
    for (line,) in rows:
        if line != "ok":
            findings.add("database", " ".join(str(line).split()))


@contextmanager
def _alive(connection: sqlite3.Connection, told: Progress) -> Iterator[None]:
    """Tell again and again that the structure is being checked: nobody knows how far that is."""

    def tell() -> int:
        told("checking the database", 0, 0)
        return 0

    tell()
    connection.set_progress_handler(tell, _INSTRUCTIONS)
    try:
        yield
    finally:
        connection.set_progress_handler(None, 0)


def _check_checkpoints(
    connection: sqlite3.Connection, content: Content, findings: Findings
) -> None:
    try:
        rows = connection.execute("SELECT CAST(name AS BLOB), value FROM checkpoints").fetchall()
    except UNREADABLE as error:
        findings.add("checkpoints", f"they cannot be read: {error}")
        return
    for name_bytes, value in rows:
        name = bytes(name_bytes).decode(errors="replace")
        read = content.checkpoints.get(name)
        if read is None:
            findings.add("checkpoints", f"this gateway has none with the name {name!r}")
            continue
        try:
            read(bytes(value))
        except ValueError as error:
            findings.add("checkpoints", f"{name!r} {error}")
