"""Appending: events that come while others are being stored are stored together.

A batch shares one sync, and costs as much as some ten events stored one by one.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple, TypeAlias

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended
from gateway.journal.jetstream.errors import LostError
from gateway.journal.jetstream.publishing import Outgoing, Publishing
from gateway.records.commits import CommitEnded
from gateway.records.observer import Observer, ignore

# The most events in one batch, and the most bytes: larger ones gain little, and delay the first.
# The server takes a thousand events.
GROUP_MAX = 256
GROUP_BYTES_MAX = 4 * 1024 * 1024

# Fewer than these are quicker one by one, at the same time: of batches of 8 a server that syncs
# takes 2,500 events/s, of batches of 16 5,600, and of single events 4,400.
BATCH_MIN = 16


_End: TypeAlias = Appended | LogUnavailableError


class _Asked(NamedTuple):
    """An event to store."""

    event: Outgoing
    done: asyncio.Future[Appended]
    # When it was asked for, on the monotonic clock.
    at: float


class Appender:
    """Stores what it is given, a group at a time. `observe` is told of each group."""

    def __init__(self, publishing: Publishing, observe: Observer[CommitEnded] = ignore) -> None:
        self._publishing = publishing
        self._observe = observe
        self._waiting: list[_Asked] = []
        self._work: asyncio.Task[None] | None = None
        self._closed = False
        # Why the last group could not be stored, and when that was, on the monotonic clock; but for
        # want of a connection, of which the connection knows better.
        self.failure: tuple[str, float] | None = None

    async def append(self, event: Outgoing) -> Appended:
        """Store an event. Raises LogUnavailableError; it may have been stored then."""
        if self._closed:
            raise LogUnavailableError("the event log is closed")
        done: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(event, done, monotonic()))
        if self._work is None:
            self._work = asyncio.create_task(self._run())
        return await done

    async def close(self) -> None:
        """Take no more, and return when what was asked for before is stored, or is not."""
        self._closed = True
        if self._work is not None:
            await asyncio.wait([self._work])

    async def _run(self) -> None:
        while self._waiting:
            await self._store(self._next())
        self._work = None

    def _next(self) -> list[_Asked]:
        size = 0
        for count, asked in enumerate(self._waiting):
            size += len(asked.event.data)
            if count and (count == GROUP_MAX or size > GROUP_BYTES_MAX):
                break
        else:
            count = len(self._waiting)
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _store(self, group: Sequence[_Asked]) -> None:
        began = monotonic()
        events: dict[str, Outgoing] = {}
        for asked in group:
            events.setdefault(asked.event.subject, asked.event)
        ends = dict(zip(events, await self._ends(list(events.values())), strict=True))
        failed = [it for it in ends.values() if isinstance(it, LogUnavailableError)]
        if failed and not isinstance(failed[0], LostError):
            self.failure = (str(failed[0]), monotonic())
        elif not failed:
            self.failure = None
        stored = [it for it in ends.values() if isinstance(it, Appended) and not it.duplicate]
        for asked in group:
            end = ends[asked.event.subject]
            if isinstance(end, Appended):
                # Of several with one id, the first is the one that was stored.
                ends[asked.event.subject] = end._replace(duplicate=True)
            _tell(asked.done, end)
        size = sum(len(it.event.data) for it in group) if stored else 0
        self._observe(
            CommitEnded(
                len(group),
                len(stored),
                size,
                began,
                monotonic() - began,
                began - group[0].at,
                succeeded=not failed,
            )
        )

    async def _ends(self, events: Sequence[Outgoing]) -> Sequence[_End]:
        """Return for each event what has become of it."""
        if len(events) >= BATCH_MIN:
            try:
                stored = await self._publishing.many(events)
            except Exception as error:  # whatever it was, those who wait must be told
                return [_failure(error)] * len(events)
            if stored is not None:
                return stored
        ends = await asyncio.gather(*map(self._publishing.one, events), return_exceptions=True)
        return [it if isinstance(it, Appended) else _failure(it) for it in ends]


def _failure(error: BaseException) -> LogUnavailableError:
    if isinstance(error, LogUnavailableError):
        return error
    return LogUnavailableError(f"the event log failed: {error!r}")


def _tell(done: asyncio.Future[Appended], end: _End) -> None:
    if done.done():
        return
    if isinstance(end, Appended):
        done.set_result(end)
    else:
        done.set_exception(end)
