"""Key columns: the log has one for each declared key, whenever it was made."""

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

from gateway.journal.events import Keys
from gateway.journal.format import EventFormat
from gateway.journal.sqlite.framed import bodies, steps
from gateway.journal.sqlite.indexing import FullBlock, Member, member_of
from gateway.journal.sqlite.postings import BLOCK, block_of, indexed_through
from gateway.journal.sqlite.schema import read_meta, set_meta
from gateway.schema.event_keys import EventKey

# Under which the log keeps what its columns and its index were made for.
_META = "indexed_for"

_log = logging.getLogger(__name__)


def fit_keys(connection: sqlite3.Connection, format_: EventFormat) -> None:
    """Give the log the columns and the index of a format's keys. Raises sqlite3.Error.

    A log that was used with others is filled with what its events say and indexed anew; it keeps
    the columns that it has beside them.
    """
    keys = format_.keys
    fingerprint = _fingerprint(keys)
    if read_meta(connection).get(_META) != fingerprint:
        _fit(connection, format_, fingerprint)
    for block in _full_blocks(connection):
        found = FullBlock.of(block, members_in(connection, keys, block))
        connection.execute("BEGIN IMMEDIATE")
        found.write(connection, found.rows)
        connection.commit()


def are_fitted(meta: Mapping[str, int | bytes], keys: Sequence[EventKey]) -> bool:
    """Whether a log that says this of itself has the columns and the index of some keys."""
    return meta.get(_META) == _fingerprint(keys)


def members_in(
    connection: sqlite3.Connection, keys: Sequence[EventKey], block: int
) -> list[Member]:
    """Return the events of a block that are held, for the index. Raises sqlite3.Error.

    What is damaged is read as far as it goes: it must not keep out what comes.
    """
    names = "".join(f", CAST({key.name} AS BLOB)" for key in keys)
    rows = connection.execute(
        f"SELECT sequence{names} FROM events WHERE sequence > ? AND sequence <= ?",
        (block * BLOCK, (block + 1) * BLOCK),
    )
    return [
        member_of(
            keys, sequence, tuple((value or b"").decode(errors="replace") for value in values)
        )
        for sequence, *values in rows
    ]


def _fit(connection: sqlite3.Connection, format_: EventFormat, fingerprint: int) -> None:
    keys = format_.keys
    held = {name for _, name, *_ in connection.execute("PRAGMA table_info(events)")}
    (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    if events:
        names = ", ".join(key.name for key in keys)
        _log.info("indexing the log's %d events by %s", events, names)
    connection.execute("BEGIN IMMEDIATE")
    for key in keys:
        if key.name not in held:
            connection.execute(f"ALTER TABLE events ADD COLUMN {key.name} TEXT NOT NULL DEFAULT ''")
    if events:
        _fill(connection, format_)
    for table in ("postings", "blocks", "key_values"):
        connection.execute(f"DELETE FROM {table}")
    set_meta(connection, {_META: fingerprint})
    connection.commit()


def _fill(connection: sqlite3.Connection, format_: EventFormat) -> None:
    unreadable = 0
    columns = ", ".join(f"{key.name} = ?" for key in format_.keys)
    for after in steps(connection):
        rows: list[tuple[str | int, ...]] = []
        for sequence, body in bodies(connection, after):
            values = _keys_of(body, format_)
            unreadable += values is None
            rows.append((*(values or [""] * len(format_.keys)), sequence))
        connection.executemany(f"UPDATE events SET {columns} WHERE sequence = ?", rows)
    if unreadable:
        _log.error("%d events are damaged, and cannot be found by their keys", unreadable)


def _keys_of(body: bytes | None, format_: EventFormat) -> Keys | None:
    try:
        return None if body is None else format_.keys_of(body)
    except ValueError:
        return None


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
