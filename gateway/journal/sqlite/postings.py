"""The index by key: which events of a block have a value.

Events are indexed a block at a time, after the block is full: each page of the index is then
written once for a thousand events instead of once for each. What is not indexed yet is looked
through as it is. For each value of a block there is a row with the places of its events; a search
combines rows, and reads only events that match.
"""

import sqlite3
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from typing import TypeAlias, TypeVar

from gateway.journal.filter import Limit
from gateway.journal.sqlite.faults import DamagedError
from gateway.schema.event_keys import EventKey

# Events of a block. Twice as many make writing a tenth cheaper, and twice as much to look through
# at the log's end; that many take about a millisecond.
BLOCK = 1_024

_BITMAP_BYTES = BLOCK // 8

# Rows of a search that are read at one time: some milliseconds' work.
_ROWS_MAX = 16_384

# Blocks that a search begins with, and how much more it takes each time when it finds too little.
_BLOCKS_FIRST = 4
_BLOCKS_GROWTH = 4

# So few events are read sooner than they are compared with what the other keys have.
_FEW = 64

# Up to so many places of a block are taken one by one: one of them takes 0.1 us, a look at all
# that there are 30 us, with the interpreter's lock.
_SPARSE = 128

# Values in one statement.
_LOT = 500

# Values whose hashes are kept at hand, of a quarter of a kilobyte each: most keys of an event are
# those of one just before it. To hash all of them takes 8 us with the interpreter's lock, of the
# hundred or so that a webhook takes in all.
_HASHES_KEPT = 4_096

TABLES = """
CREATE TABLE postings (  -- places of the events of a block that have a value
  value  INTEGER NOT NULL,  -- see `hash_of`
  block  INTEGER NOT NULL,
  places BLOB NOT NULL,
  PRIMARY KEY (value, block)
) WITHOUT ROWID, STRICT;
CREATE TABLE blocks (  -- the blocks that are indexed, and what of
  block  INTEGER PRIMARY KEY,
  hashes BLOB NOT NULL
) STRICT;
CREATE TABLE key_values (  -- the values there are of keys that are searched by prefix
  key   TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (key, value)
) WITHOUT ROWID, STRICT;
"""

T = TypeVar("T")

Bits: TypeAlias = int
"""Places of a block as the bits of a number."""


def block_of(sequence: int) -> int:
    """Return the block that an event belongs to."""
    return (sequence - 1) // BLOCK


def indexed_through(connection: sqlite3.Connection) -> int:
    """Return the number up to which events are indexed. Raises sqlite3.Error."""
    (block,) = connection.execute(
        # Not beyond what there is, whatever damage says.
        "SELECT max(block) FROM blocks"
        f" WHERE block < (SELECT ifnull(max(sequence), 0) / {BLOCK} FROM events)"
    ).fetchone()
    return 0 if block is None else (int(block) + 1) * BLOCK


def drop_postings(connection: sqlite3.Connection, oldest: int, most: int) -> int:
    """Delete some of what is known of blocks whose events are all before `oldest`.

    At most so many rows, each perhaps on a page of its own; returns how many, zero if that was all.
    Raises sqlite3.Error.
    """
    gone = connection.execute(
        "SELECT block, hashes FROM blocks WHERE block < ? ORDER BY block LIMIT 1",
        (block_of(oldest),),
    ).fetchone()
    if gone is None:
        return 0
    block, hashes = gone
    connection.execute("BEGIN IMMEDIATE")
    if type(hashes) is not bytes or len(hashes) % 8:  # damage must not keep retention from the rest
        connection.execute("DELETE FROM postings WHERE block = ?", (block,))
        rest = b""
    else:
        rest = hashes[most * 8 :]
        for lot in _lots(_hashes(hashes[: most * 8]), _LOT):
            marks = ",".join("?" * len(lot))
            connection.execute(
                f"DELETE FROM postings WHERE value IN ({marks}) AND block = ?", (*lot, block)
            )
    if rest:
        connection.execute("UPDATE blocks SET hashes = ? WHERE block = ?", (rest, block))
    else:
        connection.execute("DELETE FROM blocks WHERE block = ?", (block,))
    connection.commit()
    return most


class Search:
    """Events that may match some limits, found by the index; they are to be compared again.

    `limits` is not empty, and `keys` are those that it is about. All methods raise sqlite3.Error
    and DamagedError.
    """

    def __init__(
        self, connection: sqlite3.Connection, keys: Sequence[EventKey], limits: Sequence[Limit]
    ) -> None:
        self._connection = connection
        self._values = [self._hashes_of(keys[limit.key], limit) for limit in limits]

    def numbers(
        self, after: int, through: int, enough: int, *, newest_first: bool
    ) -> tuple[list[int], int]:
        """Return numbers of a stretch of indexed events, and up to where was looked.

        It is looked from the beginning, or from the end, until `enough` have been found, or for
        some milliseconds: then not as far as asked for. The numbers go up, or down.
        """
        found: list[int] = []
        first, last = block_of(after + 1), block_of(through)
        step = -1 if newest_first else 1
        block, end = (last, first - 1) if newest_first else (first, last + 1)
        width, left = _BLOCKS_FIRST, max(_ROWS_MAX // self._widest, _BLOCKS_FIRST)
        while block != end and len(found) < enough and left > 0:
            width = min(width, left, abs(end - block))
            stop = block + step * width
            held = self._bits_of(min(block, stop - step), max(block, stop - step))
            for number in sorted(held, reverse=newest_first):
                places = _places(held[number])
                numbers = (number * BLOCK + 1 + place for place in places[::step])
                found += (it for it in numbers if after < it <= through)
            block, left, width = stop, left - width, width * _BLOCKS_GROWTH
        if newest_first:
            return found, max(after, (block + 1) * BLOCK)
        return found, min(through, block * BLOCK)

    @property
    def _widest(self) -> int:
        return max(1, *(len(it) for it in self._values))

    def _bits_of(self, first: int, last: int) -> Mapping[int, Bits]:
        """Return the places in some blocks that all limits allow, by block."""
        held: dict[int, Bits] = {}
        for number, values in enumerate(self._values):
            rows: defaultdict[int, Bits] = defaultdict(int)
            for lot in _lots(values, _LOT):
                marks = ",".join("?" * len(lot))
                for block, packed in self._connection.execute(
                    f"SELECT block, places FROM postings WHERE value IN ({marks})"
                    " AND block BETWEEN ? AND ?",
                    (*lot, first, last),
                ):
                    rows[block] |= _bits(packed)
            if number == 0:
                held = dict(rows)
            else:
                held = {it: both for it, bits in held.items() if (both := bits & rows.get(it, 0))}
            if sum(bits.bit_count() for bits in held.values()) <= _FEW:
                break
        return held

    def _hashes_of(self, key: EventKey, limit: Limit) -> list[int]:
        values = set(limit.values)
        if limit.prefixes:
            held = self._connection.execute(
                "SELECT value FROM key_values WHERE key = ?", (key.name,)
            )
            for (value,) in held:
                if type(value) is not str:
                    raise DamagedError("its index by key cannot be read")
                if limit.allows(value):
                    values.add(value)
        return sorted(hash_of(key.name, value) for value in values)


@cache
def _layout(count: int) -> struct.Struct:
    return struct.Struct(f">{count}H")


@lru_cache(_HASHES_KEPT)
def hash_of(name: str, value: str) -> int:
    """Return what stands for a value of a key: its text would make the index three times as large.

    Two values that share one make a search read events in vain, and no more.
    """
    digest = blake2b(f"{name}={value}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def packed(places: Sequence[int]) -> bytes:
    """Return places as two bytes each, or as a bitmap if that is as short."""
    if len(places) * 2 < _BITMAP_BYTES:
        return _layout(len(places)).pack(*places)
    return sum(1 << place for place in places).to_bytes(_BITMAP_BYTES, "little")


def _bits(packed: bytes) -> Bits:
    if type(packed) is not bytes or len(packed) > _BITMAP_BYTES or len(packed) % 2:
        raise DamagedError("its index by key cannot be read")
    if len(packed) == _BITMAP_BYTES:
        return int.from_bytes(packed, "little")
    bits = 0
    for place in _layout(len(packed) // 2).unpack(packed):
        bits |= 1 << (place % BLOCK)
    return bits


def bits_of(packed: object) -> Bits | None:
    """Return the places of a row of the index, None if it is damaged."""
    try:
        return _bits(packed) if type(packed) is bytes else None
    except DamagedError:
        return None


def _places(bits: Bits) -> list[int]:
    """Return the places that are set, lowest first."""
    if bits.bit_count() > _SPARSE:
        return [place for place, bit in enumerate(bin(bits)[:1:-1]) if bit == "1"]
    places = []
    while bits:
        lowest = bits & -bits
        places.append(lowest.bit_length() - 1)
        bits ^= lowest
    return places


def _hashes(packed: bytes) -> Sequence[int]:
    return struct.unpack(f">{len(packed) // 8}q", packed)


def _lots(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
