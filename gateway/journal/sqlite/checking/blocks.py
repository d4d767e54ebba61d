"""The index by key of one block, compared with the events that it is about."""

import sqlite3
import struct
from collections.abc import Sequence

from gateway.journal.findings import Findings
from gateway.journal.sqlite.indexing import FullBlock, Member
from gateway.journal.sqlite.postings import BLOCK, bits_of, indexed_through

_PART = "index"


def check_block(
    connection: sqlite3.Connection,
    block: int,
    first: int,
    members: Sequence[Member],
    findings: Findings,
) -> None:
    """Compare what is known of a block with its events; `first` is the number of the first.

    Raises what is UNREADABLE.
    """
    row = connection.execute("SELECT hashes FROM blocks WHERE block = ?", (block,)).fetchone()
    if row is None:
        if (block + 1) * BLOCK <= indexed_through(connection):
            findings.add(_PART, f"the events {_numbers(block)} are in no index, later ones are")
        return
    known = _hashes(row[0])
    if known is None:
        findings.add(_PART, f"what there is of the events {_numbers(block)} cannot be read")
        return
    expected = FullBlock.of(block, members)
    held = _places(connection, block, known)
    # Of a block that has lost its first events, the index still has them.
    is_whole = first == block * BLOCK + 1
    missing = [it for it in expected.hashes if it not in held]
    if missing or (is_whole and set(expected.hashes) != known):
        findings.add(_PART, f"of the events {_numbers(block)} it has other values than they have")
    mask = -1 << (first - 1 - block * BLOCK)
    for hashed, bits in held.items():
        wanted = sum(1 << place for place in expected.places.get(hashed, ()))
        if bits is None or bits & mask != wanted:
            findings.add(_PART, f"of the events {_numbers(block)} it has others for a value")
            break
    for name, value in sorted(expected.prefixed):
        if not connection.execute(
            "SELECT 1 FROM key_values WHERE key = ? AND value = ?", (name, value)
        ).fetchone():
            findings.add(_PART, f"the value {value!r} of {name} is missing among those to search")


def _places(connection: sqlite3.Connection, block: int, known: set[int]) -> dict[int, int | None]:
    """Return the places that each value has, None if they cannot be read."""
    held: dict[int, int | None] = {}
    for hashed in sorted(known):
        row = connection.execute(
            "SELECT places FROM postings WHERE value = ? AND block = ?", (hashed, block)
        ).fetchone()
        if row is not None:
            held[hashed] = bits_of(row[0])
    return held


def _hashes(packed: object) -> set[int] | None:
    if type(packed) is not bytes or len(packed) % 8:
        return None
    return set(struct.unpack(f">{len(packed) // 8}q", packed))


def _numbers(block: int) -> str:
    return f"{block * BLOCK + 1} to {(block + 1) * BLOCK}"
