"""Key columns: the log has one for each declared key, whenever it was made."""

import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

from google.protobuf.message import DecodeError

from conferencing.v1.event_pb2 import Event
from gateway.journal.entry import Keys
from gateway.feed.frames import event_of
from gateway.journal.sqlite.postings import BLOCK, block_of, index_block, indexed_through
from gateway.schema.event_keys import EventKey

# Under which the log keeps what its columns and its index were made for.
_META = "indexed_for"

_log = logging.getLogger(__name__)


def fit_keys(connection: sqlite3.Connection, keys: Sequence[EventKey]) -> None:
    """Give the log the columns and the index of these keys. Raises sqlite3.Error.

    A log that was used with others is filled with what its events say and indexed anew; it keeps
    the columns that it has beside them.
    """
    fingerprint = _fingerprint(keys)
    (made_for,) = connection.execute(
        "SELECT (SELECT value FROM meta WHERE key = ?)", (_META,)
    ).fetchone()
    if made_for != fingerprint:
        _fit(connection, keys, fingerprint)
    for block in _full_blocks(connection):
        connection.execute("BEGIN IMMEDIATE")
        index_block(connection, keys, block, keys_in(connection, keys, block))
        connection.commit()


def keys_in(
    connection: sqlite3.Connection, keys: Sequence[EventKey], block: int
) -> list[tuple[int, Keys]]:
    """Return the events of a block that are held, with their keys. Raises sqlite3.Error.

    What is damaged is read as far as it goes: it must not keep out what comes.
    """
    names = "".join(f", CAST({key.name} AS BLOB)" for key in keys)
    rows = connection.execute(
        f"SELECT sequence{names} FROM events WHERE sequence > ? AND sequence <= ?",
        (block * BLOCK, (block + 1) * BLOCK),
    )
    return [
        (sequence, tuple((value or b"").decode(errors="replace") for value in values))
        for sequence, *values in rows
    ]


def _fit(connection: sqlite3.Connection, keys: Sequence[EventKey], fingerprint: int) -> None:
    held = {name for _, name, *_ in connection.execute("PRAGMA table_info(events)")}
    (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    if events:
        names = ", ".join(key.name for key in keys)
        _log.info("the log's %d events are being indexed by %s", events, names)
    connection.execute("BEGIN IMMEDIATE")
    for key in keys:
        if key.name not in held:
            connection.execute(f"ALTER TABLE events ADD COLUMN {key.name} TEXT NOT NULL DEFAULT ''")
    if events:
        _fill(connection, keys)
    for table in ("postings", "blocks", "key_values"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (_META, fingerprint),
    )
    connection.commit()


def _fill(connection: sqlite3.Connection, keys: Sequence[EventKey]) -> None:
    unreadable = 0

    def value_of(name: str) -> Callable[[bytes], str]:
        def value(frame: bytes) -> str:
            nonlocal unreadable
            try:
                return str(getattr(Event.FromString(event_of(frame)), name))
            except (DecodeError, TypeError, IndexError):
                unreadable += 1
                return ""

        return value

    for key in keys:
        connection.create_function("value_of", 1, value_of(key.name))
        connection.execute(
            f"UPDATE events SET {key.name} = value_of(frame)"
            f" WHERE {key.name} IS NOT value_of(frame)"
        )
    if unreadable:
        _log.error("some events are damaged, and cannot be found by their keys")


def _full_blocks(connection: sqlite3.Connection) -> Iterator[int]:
    """Return the blocks that are full and not indexed."""
    oldest, newest = connection.execute(
        "SELECT (SELECT min(sequence) FROM events), (SELECT max(sequence) FROM events)"
    ).fetchone()
    if newest is not None:
        begins_after = max(indexed_through(connection), oldest - 1)
        yield from range(block_of(begins_after + 1), block_of(newest + 1))


def _fingerprint(keys: Sequence[EventKey]) -> int:
    """Return a number that tells keys and the way that they are indexed from others."""
    text = repr((BLOCK, sorted((key.name, key.takes_prefixes) for key in keys)))
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest(), "big")
