"""Arrivals: who waits until the index has come to a number."""

import asyncio
import heapq
import itertools
from typing import NamedTuple

# Of each append one waits, so one timer for all: who has waited long enough is looked for this
# often, in seconds.
_LOOK_EVERY_S = 0.05


class _Waiting(NamedTuple):
    number: int
    order: int
    until: float
    come: asyncio.Future[None]


class Arrivals:
    """Knows how far the index has come, and lets those go on who wait for that."""

    def __init__(self) -> None:
        self.newest = 0
        self._order = itertools.count()
        self._waiting: list[_Waiting] = []
        self._timer: asyncio.TimerHandle | None = None
        self.is_closed = False

    def moved(self, newest: int) -> None:
        """Say how far it has come."""
        self.newest = newest
        while self._waiting and self._waiting[0].number <= newest:
            _end(heapq.heappop(self._waiting).come)

    async def until(self, number: int, within_s: float) -> bool:
        """Wait for a number, for some seconds and not much longer; return whether it has come."""
        if number <= self.newest:
            return True
        if self.is_closed:
            return False
        loop = asyncio.get_running_loop()
        come: asyncio.Future[None] = loop.create_future()
        waiting = _Waiting(number, next(self._order), loop.time() + within_s, come)
        heapq.heappush(self._waiting, waiting)
        if self._timer is None:
            self._timer = loop.call_later(_LOOK_EVERY_S, self._look, loop)
        await come
        return number <= self.newest

    def begin_anew(self, newest: int) -> None:
        """Let everybody go: the index is of another log, and has come to a number of that."""
        self.newest = newest
        self._let_go()

    def close(self) -> None:
        """Let everybody go, whatever they wait for."""
        self.is_closed = True
        self._let_go()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now, waiting = loop.time(), self._waiting
        self._waiting = [it for it in waiting if it.until > now and not it.come.done()]
        if len(self._waiting) < len(waiting):
            heapq.heapify(self._waiting)
            for it in waiting:
                if it.until <= now:
                    _end(it.come)
        self._timer = loop.call_later(_LOOK_EVERY_S, self._look, loop) if self._waiting else None

    def _let_go(self) -> None:
        for it in self._waiting:
            _end(it.come)
        self._waiting = []


def _end(come: "asyncio.Future[None]") -> None:
    if not come.done():
        come.set_result(None)
