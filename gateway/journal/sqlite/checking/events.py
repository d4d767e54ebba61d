"""The events of a log, one after the other, and the index by key, block by block."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from gateway.journal.content import Content, Progress
from gateway.journal.findings import Findings
from gateway.journal.reading import Span
from gateway.journal.sqlite.checking.blocks import check_block
from gateway.journal.sqlite.faults import UNREADABLE
from gateway.journal.sqlite.framed import FRAMED_BY
from gateway.journal.sqlite.indexing import Member, member_of
from gateway.journal.sqlite.key_columns import are_fitted
from gateway.journal.sqlite.postings import BLOCK, block_of
from gateway.journal.sqlite.rows import checksum_of
from gateway.journal.sqlite.schema import read_meta

_PART = "events"


class EventCheck:
    """Looks at all events that the log holds when it begins."""

    def __init__(
        self, connection: sqlite3.Connection, content: Content, epoch: bytes, findings: Findings
    ) -> None:
        self._connection = connection
        self._content = content
        self._keys = content.format.keys
        self._framing = content.format.framing_of(epoch)
        self._findings = findings
        self.events = 0
        self.without_checksum = 0
        self.span: Span | None = None

    def run(self, told: Progress) -> None:
        """Look at them."""
        try:
            meta = read_meta(self._connection)
            (newest,) = self._connection.execute("SELECT max(sequence) FROM events").fetchone()
            self._is_framed = meta.get(FRAMED_BY) == self._framing.version
            self._is_indexed = are_fitted(meta, self._keys)
            has_checksums = "checksum" in _columns(self._connection)
        except UNREADABLE as error:
            self._findings.add(_PART, f"they cannot be read: {error}")
            return
        names = "".join(f", CAST({key.name} AS BLOB)" for key in self._keys)
        self._select = (
            "SELECT sequence, CAST(id AS BLOB), received_at_us, head, tail, frame, raw,"
            f" {'checksum' if has_checksums else 'NULL'}{names if self._is_indexed else ''}"
            " FROM events WHERE sequence > ? AND sequence <= ? ORDER BY sequence"
        )
        after = int(meta["pruned_through"])
        newest = after if newest is None else int(newest)
        self.span, first = Span(after + 1, newest), after
        while after < newest:
            told("checking events", after - first, newest - first)
            after = self._step(after, min(newest, (block_of(after + 1) + 1) * BLOCK))
        told("checking events", newest - first, newest - first)

    def _step(self, after: int, through: int) -> int:
        """Look at the events of a block, all of one state of the log; returns where it ended."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            pruned = int(read_meta(connection)["pruned_through"])
            if pruned >= through:
                return through
            after = max(after, pruned)
            members = self._members(after, through)
            block = block_of(through)
            # One that is not full yet is in no index, and may be full by now.
            if self._is_indexed and through == (block + 1) * BLOCK:
                first = max(pruned, block * BLOCK) + 1
                check_block(connection, block, first, members, self._findings)
        except UNREADABLE as error:
            self._findings.add(
                _PART, f"of the events {after + 1} to {through} some cannot be read: {error}"
            )
        finally:
            connection.execute("ROLLBACK")
        return through

    def _members(self, after: int, through: int) -> list[Member]:
        members: list[Member] = []
        expected = after + 1
        for row in self._connection.execute(self._select, (after, through)):
            sequence = int(row[0])
            self._must_follow(expected, sequence)
            expected = sequence + 1
            self.events += 1
            for fault in self._faults(row):
                self._findings.add(_PART, f"event {sequence}: {fault}")
            if self._is_indexed:
                values = tuple(_text(it) for it in row[8:])
                members.append(member_of(self._keys, sequence, values))
        self._must_follow(expected, through + 1)
        return members

    def _must_follow(self, expected: int, found: int) -> None:
        if expected < found:
            which = f"event {expected} is" if expected + 1 == found else ""
            self._findings.add(_PART, f"{which or f'events {expected} to {found - 1} are'} missing")

    def _faults(self, row: Sequence[Any]) -> list[str]:
        sequence, id_, received_at_us, head, tail, frame, raw, checksum, *values = row
        if type(frame) is not bytes or type(raw) is not bytes:
            return ["it cannot be read"]
        if min(head, tail) < 0 or head + tail > len(frame):
            return ["its frame is shorter than what is around its body"]
        body = frame[head : len(frame) - tail]
        faults = []
        if checksum is None:
            self.without_checksum += 1
        elif checksum != checksum_of(body, raw):
            faults.append("its bytes are not those that were stored (checksum)")
        if self._is_framed and b"".join(self._framing.frame(sequence, body)) != frame:
            faults.append("its frame has another number, cursor or form than it must have")
        try:
            event = self._content.event_of(body, raw)
        except ValueError as error:
            return [*faults, f"its body cannot be read: {error}"]
        if event.id != _text(id_):
            faults.append(f"it is stored under the id {_text(id_)!r}, its body has {event.id!r}")
        if event.received_at_us != received_at_us:
            faults.append("its time of receipt is not the one in its body")
        if self._is_indexed and event.keys != tuple(map(_text, values)):
            faults.append("its keys are not those in its body")
        return faults


def _columns(connection: sqlite3.Connection) -> set[str]:
    return {str(name) for _, name, *_ in connection.execute("PRAGMA table_info(events)")}


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
