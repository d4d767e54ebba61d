"""Readers: stretches of the log, read beside the writer."""

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Entry
from gateway.journal.filter import Filter
from gateway.journal.reading import (
    NOBODY,
    Asker,
    Batch,
    Measures,
    Page,
    Span,
    StoredEvent,
    Stretch,
    TimeBounds,
)
from gateway.journal.sqlite import reads
from gateway.journal.sqlite.faults import UNREADABLE, described
from gateway.journal.sqlite.schema import open_for_reading
from gateway.journal.sqlite.threads import Query, R, ReadingThreads
from gateway.journal.sqlite.watch import FileWatch
from gateway.process import give_way, processors
from gateway.schema.event_keys import EventKey

# Threads that read for those who follow the log; further ones wait their turn, after each step.
# Nobody is refused: each stream has one read at a time.
READERS = 4

# Threads that search, at the most. They give way to all others, and leave a processor free where
# there are several: gRPC wakes three threads in turn for each call that comes. Where two searched
# on two processors, a call behind a thousand others came 0.3 to 2 s late, and so 0.1 to 0.35 s.
SEARCHERS_MAX = 2

# Searches that wait for one of these. A step takes 5 to 40 ms, so that a new search, which goes
# before those that go on, waits for a few seconds at the worst. Whoever comes later is refused.
SEARCHES_WAITING_MAX = 256

# Threads that look up single events: whoever asks for one must not wait for those who search.
FINDERS = 2

# Look-ups that wait for one of these. Each takes some 0.1 ms.
LOOK_UPS_WAITING_MAX = 1_000


def searchers() -> int:
    """Return how many threads search on this machine."""
    return max(1, min(SEARCHERS_MAX, processors() - 1))


class LogReader:
    """Reads with a few threads, each with a connection of its own."""

    def __init__(self, database: Path, keys: Sequence[EventKey], watch: FileWatch) -> None:
        self._database = database
        self._keys = keys
        self._watch = watch
        self._followers = ReadingThreads("follower", READERS, self._connect)
        self._searchers = ReadingThreads(
            "searcher", searchers(), self._connect, SEARCHES_WAITING_MAX, give_way
        )
        self._finders = ReadingThreads("finder", FINDERS, self._connect, LOOK_UPS_WAITING_MAX)

    async def read(self, after: int, wanted: Filter, limit: int) -> Batch:
        """See `Index.read`; `wanted` is within what may be seen."""
        return await self._run(
            self._followers,
            lambda connection: reads.read(connection, self._keys, after, wanted, limit),
        )

    async def recent(self, limit: int, bytes_max: int) -> Sequence[Entry]:
        """See `Index.recent`."""
        return await self._run(
            self._followers,
            lambda connection: reads.recent(connection, self._keys, limit, bytes_max),
        )

    async def stretch(self, bounds: TimeBounds, asker: Asker) -> Stretch:
        """See `Index.stretch`."""
        first, last = await self._extent(self._searchers, bounds, asker)
        return Stretch(first - 1, last) if last else Stretch(0, 0)

    async def page(
        self,
        wanted: Filter,
        bounds: TimeBounds,
        stretch: Stretch,
        limit: int,
        newest_first: bool,
        asker: Asker,
    ) -> Page:
        """See `Index.page`."""
        return await self._run(
            self._searchers,
            lambda connection: reads.page(
                connection, self._keys, wanted, bounds, stretch, limit, newest_first
            ),
            asker,
        )

    async def raw(self, sequences: Sequence[int], asker: Asker | None) -> dict[int, bytes]:
        """See `Index.raw`."""
        threads = self._followers if asker is None else self._finders
        return await self._run(
            threads, lambda connection: reads.raw(connection, sequences), asker or NOBODY
        )

    async def find(self, event_id: str, visible: Filter, asker: Asker) -> StoredEvent | None:
        """See `Index.find`."""
        return await self._run(
            self._finders,
            lambda connection: reads.find(connection, self._keys, event_id, visible),
            asker,
        )

    async def first_received_since(self, moment_us: int, span: Span) -> int:
        """See `Index.first_received_since`; the log is known to hold `span`."""
        received = await self._run(
            self._followers, lambda connection: reads.received_at(connection, span.oldest)
        )
        if received is not None and received >= moment_us:
            return span.oldest  # as for those who want everything, without looking at all of it
        first, last = await self._extent(self._followers, TimeBounds(moment_us), NOBODY)
        return first if last else span.newest + 1

    async def measures(self, span: Span, deleted_us: int | None, asker: Asker) -> Measures:
        """See `Index.measures`; for what the log is known to hold and to have deleted."""
        return await self._run(
            self._finders, lambda connection: reads.measures(connection, span, deleted_us), asker
        )

    async def checkpoint(self, name: str) -> bytes | None:
        """See `Checkpoints.get`."""
        return await self._run(
            self._followers, lambda connection: reads.checkpoint(connection, name)
        )

    async def close(self) -> None:
        """End the threads and close their connections."""
        for threads in (self._followers, self._searchers, self._finders):
            await threads.close()

    async def _extent(
        self, threads: ReadingThreads, bounds: TimeBounds, asker: Asker
    ) -> tuple[int, int]:
        """Return the first and the last number received within a time, zeros if there is none."""
        # Clocks are set back, so the first in time need not be the first in the log; the index
        # holds both numbers and is all that is read, in steps.
        found: list[int] = []
        place: reads.Place | None = (bounds.since_us, 0)
        while place is not None:
            query = partial(reads.times, after=place, until_us=bounds.until_us)
            first, last, place = await self._run(threads, query, asker)
            if first is not None and last is not None:
                found = [min([first, *found]), max([last, *found])]
            asker = asker._replace(turns=asker.turns + 1)
        return (found[0], found[1]) if found else (0, 0)

    async def _run(self, threads: ReadingThreads, query: Query[R], asker: Asker = NOBODY) -> R:
        try:
            return await threads.run(query, asker)
        except UNREADABLE as error:
            told = self._watch.harm or described(error, self._database)
            raise LogUnavailableError(f"the event log cannot be read: {told}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = open_for_reading(self._database)
        # The name may lead to another file by now.
        self._watch.check_database()
        return connection
