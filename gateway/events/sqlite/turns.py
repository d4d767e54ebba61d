"""Turns: who reads next, where more want to than there are threads."""

import asyncio
import itertools
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from gateway.events.log import LogBusyError

# Those who have gone are removed from among those who wait when there are so many more of them.
_GONE_MAX = 64


class _Waiting(NamedTuple):
    """Somebody who waits: how often they had a turn, since when, and what tells them."""

    had: int
    number: int
    told: asyncio.Future[None]


class Turns:
    """Lets so many work at one time, and so many more wait; whoever comes then is refused at once.

    Those who have had the fewest turns go first: a short search does not wait for the many steps of
    a long one, however many of these there are.
    """

    def __init__(self, at_once: int, waiting_max: int | None = None) -> None:
        self._free = at_once
        self._waiting_max = waiting_max
        self._heap: list[_Waiting] = []
        self._numbers = itertools.count()
        self.waiting = 0

    async def take(self, had: int = 0) -> None:
        """Return when it is the caller's turn; it ends with `give_back`. Raises LogBusyError."""
        if self._free:
            self._free -= 1
            return
        if self._waiting_max is not None and self.waiting >= self._waiting_max:
            raise LogBusyError(
                f"{self.waiting} calls wait for the event log already, and no more may"
            )
        told = asyncio.get_running_loop().create_future()
        heappush(self._heap, _Waiting(had, next(self._numbers), told))
        self.waiting += 1
        try:
            await told
        except asyncio.CancelledError:
            # It may have been told at the same moment.
            if told.done() and not told.cancelled():
                self.give_back()
            raise
        finally:
            self.waiting -= 1
            self._forget_gone()

    def give_back(self) -> None:
        """End a turn: the next one begins."""
        while self._heap:
            told = heappop(self._heap).told
            if not told.done():
                told.set_result(None)
                return
        self._free += 1

    def _forget_gone(self) -> None:
        if len(self._heap) > 2 * self.waiting + _GONE_MAX:
            self._heap = [it for it in self._heap if not it.told.done()]
            heapify(self._heap)
