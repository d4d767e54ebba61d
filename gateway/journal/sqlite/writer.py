"""The writer: one thread that stores events in groups, one commit and one fsync each."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from gateway.journal.cursor import Cursor
from gateway.journal.entry import Appended, Keys, LogEntry, NewEvent, StoredFrame
from gateway.feed.frames import event_frame
from gateway.journal.log import Complete, LogOpenError, LogUnavailableError, Span
from gateway.journal.sqlite.expiry import PRUNE_STEP, expired
from gateway.journal.sqlite.faults import UNREADABLE, described
from gateway.journal.sqlite.jobs import Alone, Append, JobQueue
from gateway.journal.sqlite.key_columns import keys_in
from gateway.journal.sqlite.opening import OpenFiles
from gateway.journal.sqlite.postings import block_of, drop_postings, index_block
from gateway.journal.sqlite.rows import Row, columns_of, insert_events, numbers_of
from gateway.journal.sqlite.schema import read_meta
from gateway.schema.event_keys import EventKey

# Later than any time in the log, in microseconds.
_FOR_EVER_US = 2**62

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long events are kept (seconds), and how large the database may be (bytes)."""

    age_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit changed: the new entries, in order, and what holds of the log since."""

    entries: Sequence[LogEntry]
    span: Span
    complete: Complete | None
    # When the newest of the events ever deleted was received, in microseconds since 1970.
    deleted_received_at_us: int | None


class Pruned(NamedTuple):
    """How many events a step has deleted, and whether there is more to do."""

    events: int
    more: bool


class GroupWriter:
    """Owns the thread that uses the writing connection.

    `on_commit` is called in the event loop after each commit and before the appends that it
    stored return. Raises LogOpenError at construction.
    """

    def __init__(
        self,
        opened: OpenFiles,
        keys: Sequence[EventKey],
        loop: asyncio.AbstractEventLoop,
        on_commit: Callable[[Committed], None],
    ) -> None:
        self._connection = connection = opened.connection
        self._keys = keys
        self._columns = columns_of(keys)
        self._database = opened.files.database
        self._watch = opened.watch
        self._upkeep = opened.upkeep
        self._loop = loop
        self._on_commit = on_commit
        # Why nothing could be stored the last time that it was tried.
        self._problem: str | None = None
        try:
            meta = read_meta(connection)
            (newest,) = connection.execute("SELECT max(sequence) FROM events").fetchone()
            # What the block that is being filled holds so far, and what will be indexed of it.
            self._filling = keys_in(connection, keys, block_of((newest or 0) + 1))
        except UNREADABLE as error:
            told = described(error, self._database)
            raise LogOpenError(f"cannot open the event log {told}") from error
        self._epoch = bytes(meta["epoch"])
        pruned_through = int(meta["pruned_through"])
        self._span = Span(pruned_through + 1, newest or pruned_through)
        deleted = meta.get("deleted_received_at_us")
        self._deleted_received_at_us = None if deleted is None else int(deleted)
        self._complete: Complete | None = None
        if "complete_until_us" in meta:
            self._complete = Complete(
                int(meta["complete_since_us"]), int(meta["complete_until_us"])
            )
        self._jobs = JobQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="event-log-writer", daemon=True)

    @property
    def epoch(self) -> bytes:
        """The log's identity."""
        return self._epoch

    @property
    def state(self) -> Committed:
        """What the log holds at the start, as if just committed."""
        return self._committed(())

    @property
    def problem(self) -> str | None:
        """See `EventLog.problem`."""
        return self._problem

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def append(self, event: NewEvent) -> Appended:
        """Store an event; returns after the commit. Raises LogUnavailableError."""
        done: asyncio.Future[Appended] = self._loop.create_future()
        self._submit(Append(event, done))
        return await done

    async def prune(self, before_us: int, now_us: int) -> Pruned:
        """Delete a step of what is beyond the retention; the last step looks after the files."""
        return await self._alone(lambda: self._prune_step(before_us, now_us))

    async def mark_complete(self, until_us: int) -> None:
        """See `EventLog.mark_complete`. Raises LogUnavailableError."""
        await self._alone(lambda: self._mark_complete(until_us))

    async def correct_complete(self, complete: Complete) -> None:
        """See `EventLog.correct_complete`. Raises LogUnavailableError."""
        await self._alone(lambda: self._keep_complete(complete))

    async def stop(self) -> None:
        """Store what has been submitted, then end the thread."""
        self._stopping = True
        self._jobs.stop()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    async def _alone(self, work: Callable[[], R]) -> R:
        done: asyncio.Future[R] = self._loop.create_future()
        self._submit(Alone(work, done))
        return await done

    def _submit(self, job: Append | Alone[Any]) -> None:
        if self._stopping:
            raise LogUnavailableError("the event log is closed")
        self._jobs.put(job)

    def _run(self) -> None:
        while (group := self._jobs.next()) is not None:
            if isinstance(group, Alone):
                self._finish([group.done], partial(self._reported, group.work))
            else:
                self._finish([job.done for job in group], partial(self._store, group))

    def _finish(
        self,
        futures: Sequence[asyncio.Future[R]],
        work: Callable[[], tuple[Sequence[R], Sequence[LogEntry]]],
    ) -> None:
        changes = self._connection.total_changes
        try:
            self._watch.check()
            results, entries = work()
        except Exception as error:  # whatever it was, the thread must live and the callers be told
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            if isinstance(error, LogUnavailableError) and self._watch.harm is None:
                self._upkeep.save()  # the files are whole, and only have lost their names
            self._upkeep.failed()
            failure = LogUnavailableError(f"the event log cannot be written: {self._told(error)}")
            self._in_loop(lambda: self._fail(futures, failure))
            return
        committed = self._committed(entries)
        wrote = self._connection.total_changes > changes
        self._in_loop(lambda: self._deliver(committed, futures, results, wrote))

    def _deliver(
        self,
        committed: Committed,
        futures: Sequence[asyncio.Future[R]],
        results: Sequence[R],
        wrote: bool,
    ) -> None:
        if wrote:
            self._problem = None
        self._on_commit(committed)
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)

    def _fail(self, futures: Sequence[asyncio.Future[R]], failure: LogUnavailableError) -> None:
        self._problem = str(failure)
        for future in futures:
            if not future.done():
                future.set_exception(failure)

    def _told(self, error: Exception) -> str:
        if isinstance(error, UNREADABLE):
            return described(error, self._database)
        return str(error)

    def _in_loop(self, callback: Callable[[], None]) -> None:
        # A closed loop means that nobody is left to tell; what was committed stays committed.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _store(self, group: Sequence[Append]) -> tuple[list[Appended], list[LogEntry]]:
        try:
            return self._number_and_write(group, {})
        except sqlite3.IntegrityError:
            # Some are held already. To look for them first would keep each commit waiting for an
            # answer that is nearly always no.
            self._connection.rollback()
            known = numbers_of(self._connection, [job.event.id for job in group])
            return self._number_and_write(group, known)

    def _number_and_write(
        self, group: Sequence[Append], held: Mapping[str, int]
    ) -> tuple[list[Appended], list[LogEntry]]:
        results: list[Appended] = []
        entries: list[LogEntry] = []
        rows: list[Row] = []
        numbers = dict(held)
        sequence, size = self._span.newest, 0
        for job in group:
            event = job.event
            known = numbers.get(event.id)
            if known is not None:
                results.append(Appended(known, duplicate=True))
                continue
            sequence += 1
            numbers[event.id] = sequence
            frame = event_frame(event.body, sequence, str(Cursor(self._epoch, sequence)))
            keys = event.keys
            entries.append(LogEntry(StoredFrame(sequence, frame), keys))
            rows.append((sequence, event.id, event.received_at_us, *keys, frame, event.raw))
            size += len(frame) + len(event.raw)
            results.append(Appended(sequence, duplicate=False))
        filling = [*self._filling, *((it.stored.sequence, it.keys) for it in entries)]
        if rows:
            filling = self._write(rows, filling)
        # Only now: a failed commit must leave the numbering as it was.
        self._span = Span(self._span.oldest, sequence)
        self._filling = filling
        self._upkeep.stored(size)
        return results, entries

    def _write(
        self, rows: Sequence[Row], filling: list[tuple[int, Keys]]
    ) -> list[tuple[int, Keys]]:
        """Store events and index the blocks that are full with them; returns what is left."""
        connection = self._connection
        last = filling[-1][0]
        first_block, block = block_of(filling[0][0]), block_of(last + 1)
        if first_block == block:
            insert_events(connection, self._columns, rows)
            return filling
        connection.execute("BEGIN IMMEDIATE")
        insert_events(connection, self._columns, rows)
        for full, members in groupby(filling, key=lambda it: block_of(it[0])):
            if full < block:
                index_block(connection, self._keys, full, members)
        connection.commit()
        return [it for it in filling if block_of(it[0]) == block]

    def _committed(self, entries: Sequence[LogEntry]) -> Committed:
        return Committed(entries, self._span, self._complete, self._deleted_received_at_us)

    @staticmethod
    def _reported(work: Callable[[], R]) -> tuple[list[R], list[LogEntry]]:
        return [work()], []

    def _prune_step(self, before_us: int, now_us: int) -> Pruned:
        pruned = self._upkeep.within_room(partial(self._prune, before_us, now_us), PRUNE_STEP)
        drop = partial(drop_postings, self._connection, self._span.oldest)
        if self._upkeep.within_room(drop, PRUNE_STEP):
            return Pruned(pruned, more=True)
        if pruned and (pruned >= PRUNE_STEP or self._upkeep.presses):
            return Pruned(pruned, more=True)
        try:
            return Pruned(pruned, more=self._upkeep.tidy())
        except sqlite3.Error:
            if not pruned:
                raise
            # What was deleted must be told; the next step meets the same error.
            self._connection.rollback()
            return Pruned(pruned, more=True)

    def _prune(self, before_us: int, now_us: int, step: int = PRUNE_STEP) -> int:
        connection = self._connection
        excess, oldest = self._upkeep.excess(), self._span.oldest
        connection.execute("BEGIN IMMEDIATE")
        # In 1970 the time is not known, and no event can be told to be of the future.
        known_us = now_us if now_us > 0 else _FOR_EVER_US
        gone = expired(connection, before_us, known_us, excess, step)
        if gone is None:
            connection.rollback()
            return 0
        deleted = _newest_believed((self._deleted_received_at_us, gone.received_at_us), known_us)
        pruned, oldest = gone.through + 1 - oldest, gone.through + 1
        connection.execute("DELETE FROM events WHERE sequence < ?", (oldest,))
        self._set_meta({"deleted_received_at_us": deleted, "pruned_through": oldest - 1})
        connection.commit()
        self._span = Span(oldest, self._span.newest)
        self._deleted_received_at_us = deleted
        return pruned

    def _mark_complete(self, until_us: int) -> int:
        complete = self._complete or Complete(until_us, until_us)
        complete = replace(complete, until_us=max(until_us, complete.until_us))
        return self._keep_complete(complete)

    def _keep_complete(self, complete: Complete) -> int:
        if complete != self._complete:
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            self._set_meta(
                {
                    "complete_since_us": complete.since_us,
                    "complete_until_us": complete.until_us,
                }
            )
            connection.commit()
            self._complete = complete
        return complete.until_us

    def _set_meta(self, values: Mapping[str, int]) -> None:
        self._connection.executemany(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            list(values.items()),
        )


def _newest_believed(times_us: Iterable[int | None], now_us: int) -> int:
    """Return the latest of some times that are not in the future, zero if there is none."""
    return max((it for it in times_us if it is not None and it <= now_us), default=0)
