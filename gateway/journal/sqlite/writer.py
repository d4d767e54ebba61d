"""The writer: one thread that stores events in groups, one commit and one fsync each."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from gateway.journal.errors import LogOpenError, LogUnavailableError
from gateway.journal.events import Appended, Entry, NewEvent
from gateway.journal.format import EventFormat
from gateway.journal.ports import Listener
from gateway.journal.reading import Span
from gateway.journal.sqlite.commits import commit_of
from gateway.journal.sqlite.expiry import (
    FOR_EVER_US,
    PRUNE_STEP,
    Bounds,
    Pruned,
    expired,
    newest_believed,
)
from gateway.journal.sqlite.faults import UNREADABLE, described
from gateway.journal.sqlite.indexing import AT_ONCE, Indexing
from gateway.journal.sqlite.jobs import Alone, Append, JobQueue
from gateway.journal.sqlite.key_columns import members_in
from gateway.journal.sqlite.numbering import Numbering
from gateway.journal.sqlite.opening import OpenFiles
from gateway.journal.sqlite.postings import block_of, drop_postings
from gateway.journal.sqlite.rows import Row, columns_of, insert_events, numbers_of
from gateway.journal.sqlite.schema import read_meta, set_meta
from gateway.records.commits import CommitEnded
from gateway.records.observer import Observer, ignore

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Held:
    """What holds of the log since a commit."""

    span: Span
    # When the newest of the events ever deleted was received, in microseconds since 1970.
    deleted_received_at_us: int | None


class GroupWriter:
    """Owns the thread that uses the writing connection. `observe` is told of each group of events.

    Raises LogOpenError at construction.
    """

    def __init__(
        self,
        opened: OpenFiles,
        format_: EventFormat,
        loop: asyncio.AbstractEventLoop,
        observe: Observer[CommitEnded] = ignore,
    ) -> None:
        self._observe = observe
        self._connection = connection = opened.connection
        keys = format_.keys
        self._columns = columns_of(keys)
        self._database = opened.files.database
        self._watch = opened.watch
        self._upkeep = opened.upkeep
        self._loop = loop
        self._listeners: list[Listener] = []
        # Why nothing could be stored the last time that it was tried.
        self._problem: str | None = None
        try:
            meta = read_meta(connection)
            (newest,) = connection.execute("SELECT max(sequence) FROM events").fetchone()
            # Full blocks were indexed when the files were opened.
            self._indexing = Indexing(members_in(connection, keys, block_of((newest or 0) + 1)))
        except UNREADABLE as error:
            told = described(error, self._database)
            raise LogOpenError(f"cannot open the event log {told}") from error
        self._epoch = bytes(meta["epoch"])
        self._numbering = Numbering(format_.framing_of(self._epoch), keys)
        pruned_through = int(meta["pruned_through"])
        self._span = Span(pruned_through + 1, newest or pruned_through)
        deleted = meta.get("deleted_received_at_us")
        self._deleted_received_at_us = None if deleted is None else int(deleted)
        # As the event loop knows it; the rest belongs to the thread.
        self._state = self._held()
        self._jobs = JobQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="event-log-writer", daemon=True)

    @property
    def epoch(self) -> bytes:
        """The log's identity."""
        return self._epoch

    @property
    def state(self) -> Held:
        """What the log holds since the newest commit."""
        return self._state

    @property
    def problem(self) -> str | None:
        """See `Journal.problem`."""
        return self._problem

    def listen(self, listener: Listener) -> None:
        """Have `listener` called in the event loop after each commit with what it stored.

        It is called before the appends return.
        """
        self._listeners.append(listener)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def append(self, event: NewEvent) -> Appended:
        """Store an event; returns after the commit. Raises LogUnavailableError."""
        done: asyncio.Future[Appended] = self._loop.create_future()
        self._submit(Append(event, done, monotonic()))
        return await done

    async def take(self, first: int, events: Sequence[NewEvent], more: bool = False) -> bool:
        """Store events that have numbers already, from `first` on, which is the next.

        `more` says that many follow: their keys are indexed at some time then. False if one of
        their ids is held already under another number: none is stored then. Raises
        LogUnavailableError.
        """
        done: asyncio.Future[bool] = self._loop.create_future()
        self._submit(Alone(lambda: self._take(first, events, AT_ONCE if more else 1), done))
        return await done

    async def begin_after(self, number: int) -> None:
        """Have the log begin after a number, whether that is held or not: a step at a time.

        Raises LogUnavailableError.
        """
        while (await self.prune(Bounds.after(number))).more:
            pass
        if self._state.span.newest < number:
            await self._alone(lambda: self._go_on_after(number))

    async def prune(self, bounds: Bounds) -> Pruned:
        """Delete a step of what is beyond some bounds; the last step looks after the files."""
        return await self._alone(lambda: self._prune_step(bounds))

    async def checkpoint(self, name: str, value: bytes) -> None:
        """See `Checkpoints.set`. Raises LogUnavailableError."""
        await self._alone(lambda: self._checkpoint(name, value))

    async def stop(self) -> None:
        """Store what has been submitted, then end the thread."""
        self._stopping = True
        self._jobs.stop()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)

    async def _alone(self, work: Callable[[], R]) -> R:
        done: asyncio.Future[R] = self._loop.create_future()
        self._submit(Alone(lambda: (work(), ()), done))
        return await done

    def _submit(self, job: Append | Alone[Any]) -> None:
        if self._stopping:
            raise LogUnavailableError("the event log is closed")
        self._jobs.put(job)

    def _run(self) -> None:
        while (group := self._jobs.next()) is not None:
            if isinstance(group, Alone):
                self._finish([group.done], group.ended)
            else:
                work = partial(self._store, [job.event for job in group])
                self._finish([job.done for job in group], work, group)

    def _finish(
        self,
        futures: Sequence[asyncio.Future[R]],
        work: Callable[[], tuple[Sequence[R], Sequence[Entry]]],
        group: Sequence[Append] = (),
    ) -> None:
        began = monotonic()
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
            ended = commit_of(group, began, None)
            self._in_loop(lambda: self._fail(futures, failure, ended))
            return
        ended = commit_of(group, began, entries)
        held = self._held()
        wrote = self._connection.total_changes > changes
        self._in_loop(lambda: self._deliver(held, entries, futures, results, wrote, ended))

    def _deliver(
        self,
        held: Held,
        entries: Sequence[Entry],
        futures: Sequence[asyncio.Future[R]],
        results: Sequence[R],
        wrote: bool,
        ended: CommitEnded | None,
    ) -> None:
        if wrote:
            self._problem = None
        self._state = held
        if entries:
            for listener in self._listeners:
                listener(entries)
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)
        if ended is not None:
            self._observe(ended)

    def _fail(
        self,
        futures: Sequence[asyncio.Future[R]],
        failure: LogUnavailableError,
        ended: CommitEnded | None,
    ) -> None:
        self._problem = str(failure)
        for future in futures:
            if not future.done():
                future.set_exception(failure)
        if ended is not None:
            self._observe(ended)

    def _told(self, error: Exception) -> str:
        if isinstance(error, UNREADABLE):
            return described(error, self._database)
        return str(error)

    def _in_loop(self, callback: Callable[[], None]) -> None:
        # A closed loop means that nobody is left to tell; what was committed stays committed.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _store(self, events: Sequence[NewEvent]) -> tuple[Sequence[Appended], Sequence[Entry]]:
        try:
            return self._number_and_write(events, {})
        except sqlite3.IntegrityError:
            # Some are held already. To look for them first would keep each commit waiting for an
            # answer that is nearly always no.
            self._connection.rollback()
            known = numbers_of(self._connection, [it.id for it in events])
            return self._number_and_write(events, known)

    def _take(
        self, first: int, events: Sequence[NewEvent], blocks: int
    ) -> tuple[bool, Sequence[Entry]]:
        if first != self._span.newest + 1:
            raise LogUnavailableError(f"{first} is not the next number")
        if len({it.id for it in events}) < len(events):
            return False, ()
        try:
            return True, self._number_and_write(events, {}, blocks)[1]
        except sqlite3.IntegrityError:
            self._connection.rollback()
            return False, ()

    def _number_and_write(
        self, events: Sequence[NewEvent], held: Mapping[str, int], blocks: int = 1
    ) -> tuple[Sequence[Appended], Sequence[Entry]]:
        found = self._numbering.numbered(events, held, self._span.newest)
        rows, indexing = found.rows, self._indexing
        if rows:
            indexing = self._write(rows, indexing.joined(found.members, blocks))
        # Only now: a failed commit must leave the numbering as it was.
        self._span = Span(self._span.oldest, found.newest)
        self._indexing = indexing
        self._upkeep.stored(found.size_bytes)
        return found.results, found.entries

    def _write(self, rows: Sequence[Row], indexing: Indexing) -> Indexing:
        """Store events, and with them what is due of the index; returns what is left of it."""
        connection = self._connection
        if indexing.is_due:
            connection.execute("BEGIN IMMEDIATE")
            insert_events(connection, self._columns, rows)
            indexing = indexing.written(connection, len(rows))
            connection.commit()
        else:
            insert_events(connection, self._columns, rows)
        return indexing

    def _held(self) -> Held:
        return Held(self._span, self._deleted_received_at_us)

    def _prune_step(self, bounds: Bounds) -> Pruned:
        pruned = self._upkeep.within_room(partial(self._prune, bounds), PRUNE_STEP)
        drop = partial(drop_postings, self._connection, self._span.oldest)
        if self._upkeep.within_room(drop, PRUNE_STEP):
            return Pruned(pruned, more=True)
        if pruned and (pruned >= PRUNE_STEP or self._upkeep.presses(bounds.size_bytes)):
            return Pruned(pruned, more=True)
        try:
            return Pruned(pruned, more=self._upkeep.tidy(bounds.size_bytes))
        except sqlite3.Error:
            if not pruned:
                raise
            # What was deleted must be told; the next step meets the same error.
            self._connection.rollback()
            return Pruned(pruned, more=True)

    def _prune(self, bounds: Bounds, step: int = PRUNE_STEP) -> int:
        connection = self._connection
        excess, oldest = self._upkeep.excess(bounds.size_bytes), self._span.oldest
        connection.execute("BEGIN IMMEDIATE")
        # In 1970 the time is not known, and no event can be told to be of the future.
        known_us = bounds.now_us if bounds.now_us > 0 else FOR_EVER_US
        gone = expired(connection, bounds.before_us, known_us, excess, step, bounds.through)
        if gone is None:
            connection.rollback()
            return 0
        deleted = newest_believed((self._deleted_received_at_us, gone.received_at_us), known_us)
        pruned, oldest = gone.through + 1 - oldest, gone.through + 1
        connection.execute("DELETE FROM events WHERE sequence < ?", (oldest,))
        set_meta(connection, {"deleted_received_at_us": deleted, "pruned_through": oldest - 1})
        connection.commit()
        self._span = Span(oldest, self._span.newest)
        self._deleted_received_at_us = deleted
        return pruned

    def _go_on_after(self, number: int) -> None:
        """Have the next number be the one after `number`; nothing is held, and less was given."""
        set_meta(self._connection, {"pruned_through": number})
        self._span = Span(number + 1, number)
        self._indexing = Indexing()

    def _checkpoint(self, name: str, value: bytes) -> None:
        # A single statement commits by itself.
        self._connection.execute(
            "INSERT INTO checkpoints VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )
