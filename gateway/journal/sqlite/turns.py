"""Turns: who reads next, where more want to than there are threads."""

import asyncio
import itertools
from collections import Counter
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from gateway.journal.errors import LogBusyError
from gateway.journal.reading import Asker

# Those who have gone are removed from among those who wait when there are so many more of them.
_GONE_MAX = 64


class _Waiting(NamedTuple):
    """Somebody who waits: the rank (the lower goes first), since when, and what tells them."""

    rank: int
    number: int
    told: asyncio.Future[None]


class Turns:
    """Lets so many work at one time, and so many more wait; whoever is too many is refused at once.

    Rank is how many turns one has had already and how many of the same name wait. So a short search
    does not wait for the many steps of a long one, nor for a caller who has asked for a thousand
    things at once; and where no more may wait, it is one of those who has to go, not the newcomer.
    """

    def __init__(self, at_once: int, waiting_max: int | None = None) -> None:
        self._free = at_once
        self._waiting_max = waiting_max
        self._heap: list[_Waiting] = []
        self._numbers = itertools.count()
        self._names: Counter[str] = Counter()
        self.waiting = 0

    async def take(self, asker: Asker) -> None:
        """Return when it is the caller's turn; it ends with `give_back`. Raises LogBusyError."""
        if self._free:
            self._free -= 1
            return
        rank = asker.turns + self._names[asker.name]
        if self._waiting_max is not None and self.waiting >= self._waiting_max:
            self._make_room(rank)
        told = asyncio.get_running_loop().create_future()
        heappush(self._heap, _Waiting(rank, next(self._numbers), told))
        self.waiting += 1
        self._names[asker.name] += 1
        try:
            await told
        except asyncio.CancelledError:
            # It may have been told at the same moment.
            if told.done() and not told.cancelled() and told.exception() is None:
                self.give_back()
            raise
        finally:
            self.waiting -= 1
            self._names[asker.name] -= 1
            if not self._names[asker.name]:
                del self._names[asker.name]
            self._forget_gone()

    def give_back(self) -> None:
        """End a turn: the next one begins."""
        while self._heap:
            told = heappop(self._heap).told
            if not told.done():
                told.set_result(None)
                return
        self._free += 1

    def _make_room(self, rank: int) -> None:
        """Refuse one who waits and ranks behind this. Raises LogBusyError if nobody does."""
        last = max((it for it in self._heap if not it.told.done()), default=None)
        if last is None or last.rank <= rank:
            raise _refusal(self.waiting)
        last.told.set_exception(_refusal(self.waiting))

    def _forget_gone(self) -> None:
        if len(self._heap) > 2 * self.waiting + _GONE_MAX:
            self._heap = [it for it in self._heap if not it.told.done()]
            heapify(self._heap)


def _refusal(waiting: int) -> LogBusyError:
    return LogBusyError(f"{waiting} calls already wait for the event log, the maximum")
