"""The file: its tables, how it is opened, and what makes it this gateway's own."""

import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from gateway.events.cursor import EPOCH_BYTES
from gateway.events.log import LogOpenError

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows
    fcntl = None  # type: ignore[assignment]

# "tgwl": marks the file, so that another program's database is not taken for a log.
APPLICATION_ID = 0x7467776C
SCHEMA_VERSION = 1

# How long a connection waits for another's lock before it gives up, in milliseconds. Only the
# checkpoint after a crash holds one for long.
BUSY_TIMEOUT_MS = 5_000

# An event with its signed bytes takes about 1.5 KiB. SQLite's usual pages of 4 KiB hold two of them
# and stay a quarter empty; in these the file is a fifth smaller, and is read a fifth faster from
# end to end. The write-ahead log grows to 1,000 pages between checkpoints, so to 8 MiB.
PAGE_BYTES = 8_192

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE events (
  sequence        INTEGER PRIMARY KEY,
  id              TEXT NOT NULL UNIQUE,
  received_at_us  INTEGER NOT NULL,
  type            TEXT NOT NULL,  -- from here on in the order of `EventKeys`
  conference_id   TEXT NOT NULL,
  queue_name      TEXT NOT NULL,
  call_control_id TEXT NOT NULL,
  call_session_id TEXT NOT NULL,
  connection_id   TEXT NOT NULL,
  frame           BLOB NOT NULL,
  raw             BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (received_at_us);
CREATE INDEX events_by_conference ON events (conference_id) WHERE conference_id <> '';
"""


class FileLock:
    """Keeps a second gateway from writing to the same log."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(database.name + ".lock")
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock, making its directory. Raises LogOpenError if another process holds it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+")
        except OSError as error:
            raise LogOpenError(f"cannot open the event log: {error}") from error
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                raise LogOpenError(
                    f"another gateway is using the event log {self._path.with_suffix('')}: stop"
                    " it, or give this one a log of its own with GATEWAY_EVENT_LOG"
                ) from None
        self._file = file

    def release(self) -> None:
        """Give the lock back; the file stays, so that nobody locks a file that is gone."""
        if self._file is not None:
            self._file.close()
            self._file = None


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Open the log, making it first where there is none. Raises LogOpenError."""
    try:
        connection = _connect(f"{path.absolute().as_uri()}?mode=rwc")
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise LogOpenError(f"cannot open the event log {path}: {error}") from error
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the log a further time, to read. Raises sqlite3.Error."""
    return _connect(f"{path.absolute().as_uri()}?mode=ro")


def read_meta(connection: sqlite3.Connection) -> Mapping[str, int | bytes]:
    """Return what the log knows about itself.

    That is epoch, pruned_through and size_bytes, the size of the events up to number size_through
    (up to the newest if that is missing); once something has been deleted, deleted_received_at_us;
    once somebody has looked, complete_since_us and complete_until_us.
    """
    return dict(connection.execute("SELECT key, value FROM meta"))


def _connect(uri: str) -> sqlite3.Connection:
    # Each connection is used by one thread at a time, not always the one that opened it.
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    # Only a new file takes it; an older one keeps what it has.
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    # The promise "durable before acknowledged": in WAL mode only FULL syncs at every commit.
    connection.execute("PRAGMA synchronous = FULL")
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables == 0:
        _create(connection)
    elif application != APPLICATION_ID:
        raise LogOpenError(f"{path} is a database of another program, not an event log")
    elif version != SCHEMA_VERSION:
        raise LogOpenError(
            f"the event log {path} has version {version}, this gateway reads {SCHEMA_VERSION}"
        )


def _create(connection: sqlite3.Connection) -> None:
    epoch = secrets.token_bytes(EPOCH_BYTES).hex()
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES}"
        f"INSERT INTO meta VALUES ('epoch', x'{epoch}'), ('pruned_through', 0), ('size_bytes', 0),"
        "('size_through', 0);"
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
        "COMMIT;"
    )
