"""Searches: matching events of the log by the page, found in bounded time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from gateway.journal.errors import LogBusyError
from gateway.journal.events import Framed
from gateway.journal.filter import Filter
from gateway.journal.ports import Index
from gateway.journal.reading import Asker, Page, Stretch, TimeBounds

# How long one page is searched for, in seconds: a person waits as long without wondering. Then it
# is given with what has been found, and with a token to go on from there.
SEARCH_S = 2.0

# How many events are looked at for one page, matching or not: a third of a second's work where they
# are in memory. It bounds what one call reads from a disk (about half a gigabyte).
SEARCHED_MAX = 1_000_000

# The encoded size of a page, in bytes: below the 4 MiB that gRPC clients accept by default.
PAGE_BYTES_MAX = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: up to `limit` events, of those that the asker may see.

    `end` is the number of the last event of the page before, None for the first page.
    """

    wanted: Filter
    visible: Filter
    bounds: TimeBounds
    limit: int
    newest_first: bool
    end: int | None
    asker: Asker


class Found(NamedTuple):
    """What a search has found, in the order asked for, and where nobody has looked yet.

    `position` is the number to go on from, None if everything has been looked at.
    """

    framed: Sequence[Framed]
    position: int | None


class Searcher:
    """Searches an index. `now` is the monotonic clock, by which searches end."""

    def __init__(self, index: Index, now: Callable[[], float] = monotonic) -> None:
        self._index = index
        self._now = now

    async def search(self, query: Query, seconds: float) -> Found:
        """Return what is found within some seconds, SEARCH_S at the most.

        Raises LogUnavailableError, and LogBusyError if no step of it could be made in that time.
        """
        ends_at = self._now() + min(seconds, SEARCH_S)
        found: list[Framed] = []
        size = steps = 0
        try:
            async with asyncio.timeout(SEARCH_S):
                rest = first = await self._stretch(query)
                while not rest.is_empty and len(found) < query.limit and size <= PAGE_BYTES_MAX:
                    page = await self._step(query, rest, query.limit - len(found), steps)
                    found += page.frames
                    size += sum(len(it.frame) for it in page.frames)
                    rest, steps = page.rest, steps + 1
                    if self._now() >= ends_at or _length(first) - _length(rest) >= SEARCHED_MAX:
                        break
        except (TimeoutError, LogBusyError) as error:
            if steps == 0:
                raise _crowded(error) from None
        if rest.is_empty:
            return Found(found, None)
        return Found(found, rest.through + 1 if query.newest_first else rest.after)

    async def _stretch(self, query: Query) -> Stretch:
        stretch = await self._index.stretch(query.bounds, query.asker)
        if query.end is None:
            return stretch
        if query.newest_first:
            return Stretch(stretch.after, min(stretch.through, query.end - 1))
        return Stretch(max(stretch.after, query.end), stretch.through)

    async def _step(self, query: Query, rest: Stretch, limit: int, steps: int) -> Page:
        return await self._index.page(
            query.wanted,
            query.bounds,
            rest,
            limit,
            query.visible,
            newest_first=query.newest_first,
            asker=query.asker._replace(turns=steps),
        )


def _length(stretch: Stretch) -> int:
    return max(stretch.through - stretch.after, 0)


def _crowded(error: TimeoutError | LogBusyError) -> LogBusyError:
    if isinstance(error, LogBusyError):
        return error
    return LogBusyError(
        f"too many searches of the event log: this one did not start within {SEARCH_S} s"
    )
