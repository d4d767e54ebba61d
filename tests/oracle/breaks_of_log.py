"""Breaks below the feed: the log, its writer and its readers."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended, NewEvent
from gateway.journal.reading import Span
from gateway.journal.sqlite import opening, reads, schema, writer
from gateway.journal.sqlite.expiry import Bounds
from gateway.journal.sqlite.log import SqliteIndex, SqliteJournal
from gateway.journal.sqlite.rows import numbers_of
from gateway.journal.sqlite.schema import set_meta
from gateway.journal.sqlite.writer import GroupWriter

Patches = Sequence[tuple[Any, str, Any]]


def acknowledges_before_the_commit() -> Patches:
    """Answers and tells subscribers when rows are written, and commits with the next group."""
    prune = GroupWriter._prune

    def write(self: Any, rows: Any, filling: Any) -> Any:
        if self._connection.in_transaction:
            self._connection.commit()
        self._connection.execute("BEGIN IMMEDIATE")
        for row in rows:
            marks = ",".join("?" * len(row))
            self._connection.execute(f"INSERT INTO events ({self._columns}) VALUES ({marks})", row)
        return filling

    def prune_after_commit(self: Any, *arguments: Any) -> int:
        if self._connection.in_transaction:
            self._connection.commit()
        return prune(self, *arguments)

    return [
        (GroupWriter, "_write", write),
        (GroupWriter, "_prune", prune_after_commit),
    ]


def acknowledges_what_failed() -> Patches:
    """Answers 2xx although the disk was full."""
    original = SqliteJournal.append

    async def append(self: Any, event: NewEvent) -> Appended:
        try:
            return await original(self, event)
        except LogUnavailableError:
            return Appended(self.span.newest + 1, duplicate=False)

    return [(SqliteJournal, "append", append)]


def forgets_the_write_ahead_log() -> Patches:
    """Opens the file without what a crash left beside it."""
    original = schema.open_for_writing

    def open_for_writing(path: Path, *others: Any) -> Any:
        path.with_name(path.name + "-wal").unlink(missing_ok=True)
        return original(path, *others)

    return [(opening, "open_for_writing", open_for_writing)]


def gives_numbers_again() -> Patches:
    """Counts what is stored when it starts; retention may have deleted the newest."""
    original = GroupWriter.__init__

    def init(self: Any, *arguments: Any) -> None:
        original(self, *arguments)
        (held,) = self._connection.execute("SELECT count(*) FROM events").fetchone()
        self._span = Span(self._span.oldest, held)
        self._state = self._held()

    return [(GroupWriter, "__init__", init)]


def deletes_in_the_middle() -> Patches:
    """Deletes by age wherever it is in the log; with a clock set back that is not a beginning."""

    def prune(self: Any, bounds: Bounds, *_: Any) -> int:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        deleted = connection.execute(
            "DELETE FROM events WHERE received_at_us < ?", (bounds.before_us,)
        ).rowcount
        (oldest,) = connection.execute("SELECT min(sequence) FROM events").fetchone()
        oldest = oldest or self._span.newest + 1
        set_meta(connection, {"pruned_through": oldest - 1})
        connection.commit()
        self._span = Span(oldest, self._span.newest)
        return int(deleted)

    return [(GroupWriter, "_prune", prune)]


def deletes_too_early() -> Patches:
    """Takes the retention ten minutes short."""
    original = GroupWriter._prune

    def prune(self: Any, bounds: Bounds, *rest: Any) -> int:
        return original(self, bounds._replace(before_us=bounds.before_us + 600_000_000), *rest)

    return [(GroupWriter, "_prune", prune)]


def has_one_epoch() -> Patches:
    """Gives every log the same identity, so that cursors of a lost one hold for the next."""

    class Fixed:
        @staticmethod
        def token_bytes(size: int) -> bytes:
            return bytes(size)

    return [(schema, "secrets", Fixed)]


def knows_no_old_duplicates() -> Patches:
    """Looks for an id among those of the same commit only."""
    return [_no_index()]


def forgets_duplicates_at_a_restart() -> Patches:
    """Remembers ids in memory."""
    opened_at: dict[Any, int] = {}

    def numbers(connection: Any, ids: Sequence[str]) -> dict[str, int]:
        if connection not in opened_at:
            (newest,) = connection.execute("SELECT max(sequence) FROM events").fetchone()
            opened_at[connection] = newest or 0
        found = numbers_of(connection, ids)
        return {it: number for it, number in found.items() if number > opened_at[connection]}

    original = GroupWriter._write

    def write(self: Any, rows: Any, filling: Any) -> Any:
        if numbers(self._connection, [row[1] for row in rows]):
            raise sqlite3.IntegrityError
        return original(self, rows, filling)

    return [_no_index(), (writer, "numbers_of", numbers), (GroupWriter, "_write", write)]


def _no_index() -> tuple[Any, str, Any]:
    # The table would refuse a second row with the same id, whatever the writer thinks.
    return (schema, "_TABLES", schema._TABLES.replace("TEXT NOT NULL UNIQUE", "TEXT NOT NULL"))


def ignores_filters() -> Patches:
    """Reads everything from the log; live the filter holds."""
    return [(reads, "_where", lambda keys, wanted: ("TRUE", []))]


def begins_after_the_time() -> Patches:
    """Takes `at this instant or later` for `after the first one`."""
    original = SqliteIndex.first_received_since

    async def since(self: Any, moment_us: int) -> int:
        newest: int = self.span.newest
        return min(await original(self, moment_us) + 1, newest + 1)

    return [(SqliteIndex, "first_received_since", since)]


def mixes_up_signed_bytes() -> Patches:
    """Pairs bytes with events by their place in the answer, not by their number."""
    original = SqliteIndex.raw

    async def raw(self: Any, sequences: Sequence[int], asker: Any) -> dict[int, bytes]:
        found = await original(self, sequences, asker)
        return dict(zip(reversed(list(found)), found.values(), strict=True))

    return [(SqliteIndex, "raw", raw)]
