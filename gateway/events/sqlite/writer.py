"""The writer: one thread that stores events in groups, one commit and one fsync each."""

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeAlias, TypeVar

from gateway.events.cursor import Cursor
from gateway.events.entry import Appended, LogEntry, NewEvent, StoredFrame
from gateway.events.frames import event_frame
from gateway.events.log import Complete, LogUnavailableError, Span
from gateway.events.sqlite.expiry import expired
from gateway.events.sqlite.rows import Row, insert_events, numbers_of, size_after
from gateway.events.sqlite.schema import read_meta

# The most events in one commit. Larger groups gain nothing measurable and delay the first of them.
GROUP_MAX = 512

# How long to let events gather that come while others are being stored, in seconds: where there are
# such, more are on their way. Each commit costs the event loop as much as several events do.
GATHER_S = 0.002

# Later than any time in the log, in microseconds.
_FOR_EVER_US = 2**62

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long events are kept (seconds), and how much of them (bytes)."""

    age_s: float
    size_bytes: int


class _Append(NamedTuple):
    event: NewEvent
    done: asyncio.Future[Appended]


@dataclass(frozen=True, slots=True)
class _Alone:
    """Work with a commit of its own."""

    work: Callable[[], int]
    done: asyncio.Future[int]


class _Stop:
    """The end of the work."""


_Job: TypeAlias = _Append | _Alone | _Stop


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit changed: the new entries, in order, and what holds of the log since."""

    entries: Sequence[LogEntry]
    span: Span
    size_bytes: int
    complete: Complete | None
    # When the newest of the events ever deleted was received, in microseconds since 1970.
    deleted_received_at_us: int | None


class GroupWriter:
    """Owns the writing connection and the thread that uses it.

    `on_commit` is called in the event loop after each commit and before the appends that it
    stored return.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        retention: Retention,
        loop: asyncio.AbstractEventLoop,
        on_commit: Callable[[Committed], None],
    ) -> None:
        self._connection = connection
        self._retention = retention
        self._loop = loop
        self._on_commit = on_commit
        meta = read_meta(connection)
        self._epoch = bytes(meta["epoch"])
        pruned_through = int(meta["pruned_through"])
        (newest,) = connection.execute("SELECT max(sequence) FROM events").fetchone()
        self._span = Span(pruned_through + 1, newest or pruned_through)
        self._size_through = int(meta.get("size_through", self._span.newest))
        self._size_bytes = int(meta["size_bytes"]) + size_after(connection, self._size_through)
        deleted = meta.get("deleted_received_at_us")
        self._deleted_received_at_us = None if deleted is None else int(deleted)
        self._complete: Complete | None = None
        if "complete_until_us" in meta:
            self._complete = Complete(
                int(meta["complete_since_us"]), int(meta["complete_until_us"])
            )
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        # Taken from the queue, but not of the group that was just made. The thread's own.
        self._next: _Job | None = None
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

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def append(self, event: NewEvent) -> Appended:
        """Store an event; returns after the commit. Raises LogUnavailableError."""
        done: asyncio.Future[Appended] = self._loop.create_future()
        self._submit(_Append(event, done))
        return await done

    async def prune(self, before_us: int) -> int:
        """Delete one step of what is beyond the retention; returns how many events went."""
        return await self._alone(lambda: self._prune(before_us))

    async def mark_complete(self, until_us: int) -> None:
        """See `EventLog.mark_complete`. Raises LogUnavailableError."""
        await self._alone(lambda: self._mark_complete(until_us))

    async def correct_complete(self, complete: Complete) -> None:
        """See `EventLog.correct_complete`. Raises LogUnavailableError."""
        await self._alone(lambda: self._keep_complete(complete))

    async def stop(self) -> None:
        """Store what has been submitted, then end the thread and close the connection."""
        self._stopping = True
        self._jobs.put(_Stop())
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join)
        self._connection.close()

    async def _alone(self, work: Callable[[], int]) -> int:
        done: asyncio.Future[int] = self._loop.create_future()
        self._submit(_Alone(work, done))
        return await done

    def _submit(self, job: _Append | _Alone) -> None:
        if self._stopping:
            raise LogUnavailableError("the event log is closed")
        self._jobs.put(job)

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            if isinstance(group, _Alone):
                self._finish([group.done], partial(self._reported, group.work))
            else:
                self._finish([job.done for job in group], partial(self._store, group))

    def _next_group(self) -> list[_Append] | _Alone | None:
        if not self._jobs.empty():
            time.sleep(GATHER_S)
        job, self._next = self._next or self._jobs.get(), None
        if isinstance(job, _Stop):
            return None
        if isinstance(job, _Alone):
            return job
        group = [job]
        while len(group) < GROUP_MAX:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if not isinstance(job, _Append):
                self._next = job
                break
            group.append(job)
        return group

    def _finish(
        self,
        futures: Sequence[asyncio.Future[R]],
        work: Callable[[], tuple[Sequence[R], Sequence[LogEntry]]],
    ) -> None:
        try:
            results, entries = work()
        except Exception as error:  # whatever it was, the thread must live and the callers be told
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
            failure = LogUnavailableError(f"the event log cannot be written: {error}")
            self._in_loop(lambda: _fail(futures, failure))
            return
        committed = self._committed(entries)
        self._in_loop(lambda: self._deliver(committed, futures, results))

    def _deliver(
        self, committed: Committed, futures: Sequence[asyncio.Future[R]], results: Sequence[R]
    ) -> None:
        self._on_commit(committed)
        for future, result in zip(futures, results, strict=True):
            if not future.done():
                future.set_result(result)

    def _in_loop(self, callback: Callable[[], None]) -> None:
        # A closed loop means that nobody is left to tell; what was committed stays committed.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback)

    def _store(self, group: Sequence[_Append]) -> tuple[list[Appended], list[LogEntry]]:
        try:
            return self._number_and_write(group, {})
        except sqlite3.IntegrityError:
            # Some are held already. To look for them first would keep each commit waiting for an
            # answer that is nearly always no.
            self._connection.rollback()
            known = numbers_of(self._connection, [job.event.id for job in group])
            return self._number_and_write(group, known)

    def _number_and_write(
        self, group: Sequence[_Append], held: Mapping[str, int]
    ) -> tuple[list[Appended], list[LogEntry]]:
        results: list[Appended] = []
        entries: list[LogEntry] = []
        rows: list[Row] = []
        numbers = dict(held)
        sequence, size = self._span.newest, self._size_bytes
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
        if rows:
            self._write(rows)
        # Only now: a failed commit must leave the numbering as it was.
        self._span = Span(self._span.oldest, sequence)
        self._size_bytes = size
        return results, entries

    def _write(self, rows: Sequence[Row]) -> None:
        insert_events(self._connection, rows)

    def _committed(self, entries: Sequence[LogEntry]) -> Committed:
        return Committed(
            entries, self._span, self._size_bytes, self._complete, self._deleted_received_at_us
        )

    @staticmethod
    def _reported(work: Callable[[], int]) -> tuple[list[int], list[LogEntry]]:
        return [work()], []

    def _prune(self, before_us: int) -> int:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        size, oldest = self._size_bytes, self._span.oldest
        now_us = before_us + round(self._retention.age_s * 1e6)
        # In 1970 the time is not known, and no event can be told to be of the future.
        known_us = now_us if now_us > 0 else _FOR_EVER_US
        gone = expired(connection, before_us, known_us, size - self._retention.size_bytes)
        if gone is None and self._size_through == self._span.newest:
            connection.rollback()
            return 0
        deleted = self._deleted_received_at_us
        if gone is not None:
            oldest, size = gone.through + 1, size - gone.size_bytes
            deleted = _newest_believed((deleted, gone.received_at_us), known_us)
            connection.execute("DELETE FROM events WHERE sequence < ?", (oldest,))
            self._set_meta({"deleted_received_at_us": deleted, "pruned_through": oldest - 1})
        # What has been stored since is added up when the log is opened: commits of events, which
        # are many, need not write it.
        self._set_meta({"size_bytes": size, "size_through": self._span.newest})
        connection.commit()
        pruned = oldest - self._span.oldest
        self._size_through = self._span.newest
        self._span = Span(oldest, self._span.newest)
        self._size_bytes = size
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


def _fail(futures: Sequence[asyncio.Future[R]], failure: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(failure)
