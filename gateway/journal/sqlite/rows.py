"""Rows by the dozen: many events in one statement.

Python lets go of its interpreter lock for every statement and every row that one steps over, and
waits for it again afterwards; while the event loop is busy, those waits are most of what a commit
takes. A statement with many rows steps once, and one alone is a transaction by itself.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TypeAlias
from zlib import crc32

from gateway.schema.event_keys import EventKey

Row: TypeAlias = tuple[object, ...]
"""An event: the values of `columns_of`, in that order."""

# Rows in one statement. Inserts are prepared once for each number up to `_EXACT_MAX` and for each
# power of two above, lookups for each power of two.
_ROWS_MAX = 512
_EXACT_MAX = 64
_IDS_MAX = 64


def columns_of(keys: Sequence[EventKey]) -> str:
    """Return the names of the columns that an event is stored in."""
    return ", ".join(
        [
            "sequence",
            "id",
            "received_at_us",
            *(key.name for key in keys),
            "head",
            "tail",
            "frame",
            "raw",
            "checksum",
        ]
    )


def checksum_of(body: bytes, raw: bytes) -> int:
    """Return a checksum of an event's bytes: SQLite has none of what it keeps.

    The cyclic one: of up to 500 KiB it misses no damage of 32 bits in a row, and it takes a
    microsecond. It is no protection from those who may write to the file.
    """
    return crc32(raw, crc32(body))


def insert_events(connection: sqlite3.Connection, columns: str, rows: Sequence[Row]) -> None:
    """Insert events, all or none, and commit, unless a transaction has been begun before.

    Raises sqlite3.Error; call `rollback` then.
    """
    within = connection.in_transaction
    if len(rows) > _EXACT_MAX and not within:
        connection.execute("BEGIN IMMEDIATE")
    for lot in _lots(rows):
        connection.execute(_insert(columns, len(lot)), list(chain.from_iterable(lot)))
    if connection.in_transaction and not within:
        connection.commit()


def numbers_of(connection: sqlite3.Connection, ids: Sequence[str]) -> Mapping[str, int]:
    """Return the numbers of those of these events that are held. Raises sqlite3.Error."""
    found: dict[str, int] = {}
    for start in range(0, len(ids), _IDS_MAX):
        lot = ids[start : start + _IDS_MAX]
        size = 1 << (len(lot) - 1).bit_length()
        filled = [*lot, *[lot[0]] * (size - len(lot))]
        found.update(connection.execute(_select(size), filled))
    return found


def _lots(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    start = 0
    while left := len(rows) - start:
        size = left if left <= _EXACT_MAX else min(_ROWS_MAX, 1 << (left.bit_length() - 1))
        yield rows[start : start + size]
        start += size


@cache
def _insert(columns: str, rows: int) -> str:
    row = f"({','.join('?' * (columns.count(',') + 1))})"
    return f"INSERT INTO events ({columns}) VALUES {','.join([row] * rows)}"


@cache
def _select(ids: int) -> str:
    return f"SELECT id, sequence FROM events WHERE id IN ({','.join('?' * ids)})"
