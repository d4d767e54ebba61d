"""The file: its tables, how it is opened, and what makes it this gateway's own."""

import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gateway.journal.errors import LogOpenError
from gateway.journal.moves import (
    ARRIVING,
    AS_IT_WAS,
    DEPARTED,
    Marks,
    Opening,
    marks_of,
)
from gateway.journal.ports import EPOCH_BYTES
from gateway.journal.sqlite import postings
from gateway.journal.sqlite.faults import UNREADABLE, DamagedError, described

# "tgwl": marks the file, so that another program's database is not taken for a log.
APPLICATION_ID = 0x7467776C
# "tgwi": a copy of another log's events, which may be thrown away and made again.
COPY_APPLICATION_ID = 0x74677769
SCHEMA_VERSION = 4

# How long a connection waits for another's lock before it gives up, in milliseconds. Only the
# checkpoint after a crash holds one for long.
BUSY_TIMEOUT_MS = 5_000

# An event with its signed bytes takes about 1.5 KiB. SQLite's usual pages of 4 KiB hold two of them
# and stay a quarter empty; in these the file is a fifth smaller, and is read a fifth faster from
# end to end.
PAGE_BYTES = 8_192

# The write-ahead log is folded into the file whenever it has grown by so many pages, so that it
# takes 8 MiB: more is only there while somebody reads what was stored before it.
WAL_PAGES = 1_000
WAL_BYTES = WAL_PAGES * PAGE_BYTES

# What a log knows about itself that is no number.
_BYTES = frozenset({"epoch", ARRIVING, DEPARTED})

_COLUMNS = "PRAGMA table_info(events)"

_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE events (
  sequence        INTEGER PRIMARY KEY,
  id              TEXT NOT NULL UNIQUE,
  received_at_us  INTEGER NOT NULL,
  head            INTEGER NOT NULL,  -- bytes of the frame before the event's body
  tail            INTEGER NOT NULL,  -- and after it
  frame           BLOB NOT NULL,
  raw             BLOB NOT NULL,
  checksum        INTEGER  -- of body and raw, see `rows.checksum_of`; NULL in older logs
) STRICT;  -- and a column for each key
CREATE TABLE checkpoints (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE INDEX events_by_time ON events (received_at_us);
{postings.TABLES}
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy is of: the epoch of a log. One that is made `anew` begins empty."""

    epoch: bytes
    anew: bool = False


def open_for_writing(
    path: Path, opening: Opening = AS_IT_WAS, copied: Copied | None = None
) -> sqlite3.Connection:
    """Open the log, making it first where there is none. Raises LogOpenError.

    `opening` says what a log is made with. `copied` says what this one is a copy of; None if it is
    no copy.
    """
    try:
        connection = _connect(f"{path.absolute().as_uri()}?mode=rwc")
        try:
            _prepare(connection, path, opening, copied)
        except BaseException:
            connection.close()
            raise
    except UNREADABLE as error:
        raise LogOpenError(f"cannot open the event log {described(error, path)}") from error
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the log a further time, to read. Raises sqlite3.Error."""
    return _connect(f"{path.absolute().as_uri()}?mode=ro")


def open_beside(path: Path, wal: Path) -> sqlite3.Connection:
    """Open a log to read, whether a gateway has it open or not. Raises sqlite3.Error."""
    connection = open_for_reading(path)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        connection.close()
        # In a folder that cannot be written to there is no room for the index of a write-ahead log,
        # and nobody who would write one.
        cannot_open = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN
        if not cannot_open or wal.exists():
            raise
        return open_unchanging(path)
    return connection


def open_unchanging(path: Path) -> sqlite3.Connection:
    """Open a log's database to read while nobody has it open for writing. Raises sqlite3.Error.

    What the write-ahead log holds is not read.
    """
    return _connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1")


def read_meta(connection: sqlite3.Connection) -> Mapping[str, int | bytes]:
    """Return what the log knows about itself. Raises what is UNREADABLE.

    That is epoch, pruned_through and folded, how often everything was folded into the database;
    indexed_for and framed_by, which keys and which framing it was made for; file_inode and
    file_born_ns, the file that it lives in; once something has been deleted,
    deleted_received_at_us; is_backup, if it is one that has not been used yet; and how far moves
    are, see `marks_in`.
    """
    meta = dict(connection.execute("SELECT key, value FROM meta"))
    for name, value in meta.items():
        if type(value) is not (bytes if name in _BYTES else int):
            raise DamagedError(f"its {name!r} cannot be read")
    if missing := {"epoch", "pruned_through", "folded"} - set(meta):
        raise DamagedError(f"it lacks {', '.join(sorted(missing))}")
    return meta


def marks_in(meta: Mapping[str, int | bytes]) -> Marks:
    """Return what a log says of moves, from all that it knows about itself."""
    return marks_of(lambda name: bytes(meta.get(name, b"")).decode(errors="replace"))


def read_epoch(connection: sqlite3.Connection) -> bytes:
    """Return the log's identity. Raises what is UNREADABLE."""
    return bytes(read_meta(connection)["epoch"])


def read_meta_unfolded(path: Path) -> Mapping[str, int | bytes] | None:
    """Return what the database says by itself, without the write-ahead log beside it.

    None if it says nothing. Only while nothing else has it open.
    """
    try:
        with closing(open_unchanging(path)) as connection:
            return read_meta(connection)
    except UNREADABLE:
        return None


def set_meta(connection: sqlite3.Connection, values: Mapping[str, int | bytes]) -> None:
    """Have the log know something about itself; the caller commits. Raises sqlite3.Error."""
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        list(values.items()),
    )


def _connect(uri: str) -> sqlite3.Connection:
    # Each connection is used by one thread at a time, not always the one that opened it.
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return connection


def _prepare(
    connection: sqlite3.Connection, path: Path, opening: Opening, copied: Copied | None
) -> None:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables:
        must_be_ours(connection, path, is_copy=copied is not None)
    # Only a new file takes these two; an older one keeps what it has.
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # it can be made smaller in steps
    connection.execute("PRAGMA journal_mode = WAL")
    # The promise "durable before acknowledged": in WAL mode only FULL syncs at every commit. What a
    # power cut takes of a copy is copied again; NORMAL keeps what is left of it whole.
    connection.execute(f"PRAGMA synchronous = {'FULL' if copied is None else 'NORMAL'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
    if not tables:
        _create(connection, opening, copied)
    elif not any(name == "checksum" for _, name, *_ in connection.execute(_COLUMNS)):
        connection.execute("ALTER TABLE events ADD COLUMN checksum INTEGER")


def must_be_ours(connection: sqlite3.Connection, path: Path, *, is_copy: bool) -> None:
    """Raise LogOpenError unless the database is an event log of this release, or a copy of one."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if not is_copy and application == COPY_APPLICATION_ID:
        raise LogOpenError(
            f"{path} is the index of a log that is kept elsewhere (GATEWAY_INDEX), not an event"
            " log: name another file with GATEWAY_EVENT_LOG"
        )
    if is_copy and application == APPLICATION_ID:
        raise LogOpenError(
            f"{path} is an event log, not an index, which may be thrown away: name another file"
            " with GATEWAY_INDEX"
        )
    if application != (COPY_APPLICATION_ID if is_copy else APPLICATION_ID):
        raise LogOpenError(
            f"{path} is a database of another program, not an event log: name another file with"
            f" {'GATEWAY_INDEX' if is_copy else 'GATEWAY_EVENT_LOG'}"
        )
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != SCHEMA_VERSION:
        whose = "a newer" if version > SCHEMA_VERSION else "an older"
        raise LogOpenError(
            f"the event log {path} has version {version}, this gateway reads {SCHEMA_VERSION}: open"
            f" it with {whose} gateway, or move all of its files away to begin an empty log"
        )


def _create(connection: sqlite3.Connection, opening: Opening, copied: Copied | None) -> None:
    of, arrival = copied or opening.arrival, opening.arrival
    epoch = (of.epoch if of else secrets.token_bytes(EPOCH_BYTES)).hex()
    # In the same transaction as the epoch, which two logs that live must never have.
    arriving = f"('{ARRIVING}', x'{str(arrival.move).encode().hex()}')," if arrival else ""
    application = APPLICATION_ID if copied is None else COPY_APPLICATION_ID
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES}"
        f"INSERT INTO meta VALUES {arriving} ('epoch', x'{epoch}'),"
        f" ('pruned_through', {opening.begins_at - 1}), ('folded', 0);"
        f"PRAGMA application_id = {application}; PRAGMA user_version = {SCHEMA_VERSION};"
        "COMMIT;"
    )
