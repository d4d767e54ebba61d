"""Key columns: the log has one for each declared key, whenever it was made."""

import logging
import sqlite3
from collections.abc import Iterator, Sequence

from conferencing.v1.event_pb2 import Event
from gateway.codec.event_keys import EventKey
from gateway.events.entry import Keys
from gateway.events.frames import event_of
from gateway.events.sqlite.postings import BLOCK, block_of, index_block, indexed_through

_log = logging.getLogger(__name__)


def fit_keys(connection: sqlite3.Connection, keys: Sequence[EventKey]) -> None:
    """Give the log the columns and the index of these keys. Raises sqlite3.Error.

    A log that was made for others gets those that it lacks, filled with what its events say; it
    keeps those that it has beside them.
    """
    held = {name for _, name, *_ in connection.execute("PRAGMA table_info(events)")}
    lacking = [key for key in keys if key.name not in held]
    (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    if lacking:
        if events:
            names = ", ".join(key.label for key in lacking)
            _log.info(
                "the log's %d events are being given what is new to find them by: %s", events, names
            )
        connection.execute("BEGIN IMMEDIATE")
        for key in lacking:
            connection.execute(f"ALTER TABLE events ADD COLUMN {key.name} TEXT NOT NULL DEFAULT ''")
        if events:
            _fill(connection, lacking)
            for table in ("postings", "blocks", "key_values"):
                connection.execute(f"DELETE FROM {table}")
        connection.commit()
    for block in _full_blocks(connection):
        connection.execute("BEGIN IMMEDIATE")
        index_block(connection, keys, block, keys_in(connection, keys, block))
        connection.commit()


def keys_in(
    connection: sqlite3.Connection, keys: Sequence[EventKey], block: int
) -> list[tuple[int, Keys]]:
    """Return the events of a block that are held, with their keys. Raises sqlite3.Error."""
    names = "".join(f", {key.name}" for key in keys)
    rows = connection.execute(
        f"SELECT sequence{names} FROM events WHERE sequence > ? AND sequence <= ?",
        (block * BLOCK, (block + 1) * BLOCK),
    )
    return [(sequence, tuple(values)) for sequence, *values in rows]


def _full_blocks(connection: sqlite3.Connection) -> Iterator[int]:
    """Return the blocks that are full and not indexed."""
    oldest, newest = connection.execute(
        "SELECT (SELECT min(sequence) FROM events), (SELECT max(sequence) FROM events)"
    ).fetchone()
    if newest is not None:
        begins_after = max(indexed_through(connection), oldest - 1)
        yield from range(block_of(begins_after + 1), block_of(newest + 1))


def _fill(connection: sqlite3.Connection, keys: Sequence[EventKey]) -> None:
    for number, key in enumerate(keys):

        def value(frame: bytes, name: str = key.name) -> str:
            return str(getattr(Event.FromString(event_of(frame)), name))

        connection.create_function(f"key_{number}", 1, value)
    values = ", ".join(f"{key.name} = key_{number}(frame)" for number, key in enumerate(keys))
    connection.execute(f"UPDATE events SET {values}")
