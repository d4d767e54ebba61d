"""Indexing: events go into the index by key a block at a time, and a block a part at a time.

A block's rows are spread over as many pages of the index as it has values, so writing all of them
takes 10 to 30 ms. A commit that did would make each webhook that comes meanwhile wait. So a full
block is written in the order of its rows by the commits that follow, each of which takes some.
Until the last of them it counts as not indexed, and searches look through its events.

While a copy is filled nobody waits for a commit, and blocks come by the dozen. Several are then
written at once: each page of the index that they share is written once, and not once for each.
"""

import sqlite3
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

from gateway.journal.events import Keys
from gateway.journal.sqlite.postings import BLOCK, block_of, hash_of, packed
from gateway.schema.event_keys import EventKey

# Rows that a commit writes at least, in one statement: a millisecond or two.
ROWS_MIN = 512

# How many times as fast as blocks become full they are written.
_HASTE = 2

# Blocks that are written at once while a copy is filled. So many are looked through by a search
# meanwhile, in some 20 ms, and wait in 3 MB of memory.
AT_ONCE = 16

# Rows in one statement, each with three values; SQLite takes 32,766 of them.
_STATEMENT_ROWS = 1_024


class Member(NamedTuple):
    """An event of a block, by what the index has of it."""

    sequence: int
    hashes: tuple[int, ...]
    # Names and values of its keys that are searched by prefix.
    prefixed: tuple[tuple[str, str], ...]


def member_of(keys: Sequence[EventKey], sequence: int, values: Keys) -> Member:
    """Return an event for the index."""
    hashes, prefixed = [], []
    # One loop: this is done for each event, with the interpreter's lock.
    for key, value in zip(keys, values, strict=True):
        if value:
            hashes.append(hash_of(key.name, value))
            if key.takes_prefixes:
                prefixed.append((key.name, value))
    return Member(sequence, tuple(hashes), tuple(prefixed))


@dataclass(frozen=True, slots=True)
class FullBlock:
    """A block whose events are all there, and how many of its rows are written."""

    number: int
    places: Mapping[int, Sequence[int]]
    # Of its values, in the index's own order.
    hashes: Sequence[int]
    prefixed: frozenset[tuple[str, str]]
    written: int = 0

    @classmethod
    def of(cls, number: int, members: Iterable[Member]) -> "FullBlock":
        """Return a block of which nothing is written yet."""
        places: defaultdict[int, list[int]] = defaultdict(list)
        prefixed: set[tuple[str, str]] = set()
        for sequence, hashes, values in members:
            for hashed in dict.fromkeys(hashes):  # two values may have one hash
                places[hashed].append(sequence - 1 - number * BLOCK)
            prefixed.update(values)
        return cls(number, places, sorted(places), frozenset(prefixed))

    @property
    def rows(self) -> int:
        """How many rows there are to write, those of them that are written included."""
        return len(self.hashes)

    @property
    def is_indexed(self) -> bool:
        """Whether all of them are written."""
        return self.written >= self.rows

    def write(self, connection: sqlite3.Connection, most: int) -> "FullBlock":
        """Write up to so many rows more, and with the last one that the block is indexed.

        Within the transaction that has been begun. Raises sqlite3.Error.
        """
        end = min(self.written + most, self.rows)
        _insert(connection, [(it, self) for it in self.hashes[self.written : end]])
        if end == self.rows:
            self.end(connection)
        return replace(self, written=end)

    def end(self, connection: sqlite3.Connection) -> None:
        """Have it count as indexed, within the same transaction as its last row.

        Raises sqlite3.Error.
        """
        connection.executemany(
            "INSERT OR IGNORE INTO key_values VALUES (?, ?)", sorted(self.prefixed)
        )
        hashes = struct.pack(f">{self.rows}q", *self.hashes)
        connection.execute("INSERT INTO blocks VALUES (?, ?)", (self.number, hashes))

    def row(self, hashed: int) -> tuple[int, int, bytes]:
        """Return what is written of one of its values."""
        return hashed, self.number, packed(self.places[hashed])


@dataclass(frozen=True, slots=True)
class Indexing:
    """How far the index is behind the log: blocks to be written, and the one being filled.

    Nothing is due before `wait_for` blocks are full. Those that have waited are written `at_once`.
    """

    filling: Sequence[Member] = ()
    full: tuple[FullBlock, ...] = ()
    wait_for: int = 1
    at_once: bool = False

    @property
    def is_due(self) -> bool:
        """Whether anything is to be written."""
        return len(self.full) >= self.wait_for

    def joined(self, members: Sequence[Member], wait_for: int = 1) -> "Indexing":
        """Return it with events that are being stored, in their order."""
        if not members:
            return self
        filling = [*self.filling, *members]
        last = block_of(members[-1].sequence + 1)
        at_once = wait_for > 1 or (self.at_once and bool(self.full))
        if block_of(filling[0].sequence) == last:
            return Indexing(filling, self.full, wait_for, at_once)
        blocks = [(it, list(of)) for it, of in groupby(filling, key=_block)]
        full = [FullBlock.of(number, of) for number, of in blocks if number < last]
        rest = [it for number, of in blocks if number == last for it in of]
        return Indexing(rest, (*self.full, *full), wait_for, at_once)

    def written(self, connection: sqlite3.Connection, events: int) -> "Indexing":
        """Write what is due with so many events: so much that blocks do not pile up.

        Within the transaction that has been begun. Raises sqlite3.Error.
        """
        if self.at_once:
            return self._written_at_once(connection)
        due = max(ROWS_MIN, sum(self._due(events)))
        full = self.full
        while full and due > 0:
            block = full[0].write(connection, due)
            due -= block.written - full[0].written
            full = full[1:] if block.is_indexed else (block, *full[1:])
            if not block.is_indexed:
                break
        return Indexing(self.filling, full)

    def _written_at_once(self, connection: sqlite3.Connection) -> "Indexing":
        """Write all that is full, in the index's own order."""
        rows = [(it, block) for block in self.full for it in block.hashes[block.written :]]
        _insert(connection, sorted(rows, key=lambda it: it[0]))
        for block in self.full:
            block.end(connection)
        return Indexing(self.filling)

    def _due(self, events: int) -> Iterator[int]:
        for block in self.full:
            yield block.rows * events * _HASTE // BLOCK


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[int, FullBlock]]) -> None:
    for start in range(0, len(rows), _STATEMENT_ROWS):
        lot = rows[start : start + _STATEMENT_ROWS]
        marks = ",".join(["(?,?,?)"] * len(lot))
        values = [it for hashed, block in lot for it in block.row(hashed)]
        # A gateway that was killed may have left some of them.
        connection.execute(f"INSERT OR REPLACE INTO postings VALUES {marks}", values)


def _block(member: Member) -> int:
    return block_of(member.sequence)
