"""Arrivals: who waits until the index has come to a number."""

import asyncio
import heapq
import itertools


class Arrivals:
    """Knows how far the index has come, and lets those go on who wait for that."""

    def __init__(self) -> None:
        self.newest = 0
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self.is_closed = False

    def moved(self, newest: int) -> None:
        """Say how far it has come."""
        self.newest = newest
        while self._waiting and self._waiting[0][0] <= newest:
            self._end(heapq.heappop(self._waiting)[2])

    async def until(self, number: int, within_s: float) -> bool:
        """Wait for a number, no longer than some seconds; return whether it has come."""
        if number <= self.newest:
            return True
        if self.is_closed:
            return False
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, next(self._order), come))
        await asyncio.wait([come], timeout=within_s)
        come.cancel()
        return number <= self.newest

    def begin_anew(self, newest: int) -> None:
        """Let everybody go: the index is of another log, and has come to a number of that."""
        self.newest = newest
        self._let_go()

    def close(self) -> None:
        """Let everybody go, whatever they wait for."""
        self.is_closed = True
        self._let_go()

    def _let_go(self) -> None:
        for _, _, come in self._waiting:
            self._end(come)
        self._waiting = []

    @staticmethod
    def _end(come: "asyncio.Future[None]") -> None:
        if not come.done():
            come.set_result(None)
