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

from gateway.events.entry import EventKeys

# (sequence, id, received_at_us, the keys in the order of `EventKeys`, frame, raw)
Row: TypeAlias = tuple[object, ...]
_COLUMNS = 5 + len(EventKeys._fields)

# Rows in one statement. Inserts are prepared once for each number up to `_EXACT_MAX` and for each
# power of two above, lookups for each power of two.
_ROWS_MAX = 64
_EXACT_MAX = 16


def insert_events(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Insert events, all or none, and commit. Raises sqlite3.Error; call `rollback` then."""
    if len(rows) > _EXACT_MAX:
        connection.execute("BEGIN IMMEDIATE")
    for lot in _lots(rows):
        connection.execute(_insert(len(lot)), list(chain.from_iterable(lot)))
    if connection.in_transaction:
        connection.commit()


def numbers_of(connection: sqlite3.Connection, ids: Sequence[str]) -> Mapping[str, int]:
    """Return the numbers of those of these events that are held. Raises sqlite3.Error."""
    found: dict[str, int] = {}
    for start in range(0, len(ids), _ROWS_MAX):
        lot = ids[start : start + _ROWS_MAX]
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
def _insert(rows: int) -> str:
    row = f"({','.join('?' * _COLUMNS)})"
    return f"INSERT INTO events VALUES {','.join([row] * rows)}"


@cache
def _select(ids: int) -> str:
    return f"SELECT id, sequence FROM events WHERE id IN ({','.join('?' * ids)})"
