"""Calls that come without a network and may be held back, and the ticks by which they begin."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from types import SimpleNamespace
from typing import Any

from gateway.server.grpc.heldback import TICK_S, HeldBack
from tests.harness.clock import ManualClock

# Two connections.
A, B = "ipv4:192.0.2.1:40000", "ipv4:192.0.2.2:40000"


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own."""

    @wraps(test)
    def run(**arguments: Any) -> None:
        asyncio.run(test(**arguments))

    return run


class Ticks:
    """The ticks that are to come."""

    def __init__(self) -> None:
        self._next: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return bool(self._next)

    def later(self, seconds: float, tick: Callable[[], None]) -> None:
        assert seconds == TICK_S
        self._next.append(tick)

    def pass_one(self) -> None:
        (tick,) = self._next
        self._next.clear()
        tick()


class Calls:
    """Calls that come without a network; each is in progress until the test ends it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gave_up: list[str] = []
        self.ticks = Ticks()
        self.clock = ManualClock(0.0)
        self.is_hurried = False
        self.held = HeldBack(
            self.gave_up.append, lambda: self.is_hurried, self.ticks.later, self.clock
        )
        self._ends: dict[str, asyncio.Event] = {}
        self._respond = self.held.around(self._work)

    async def come(self, peer: str, *names: str, left_s: float | None = None) -> list[Any]:
        context = SimpleNamespace(peer=lambda: peer, time_remaining=lambda: left_s)
        tasks = [asyncio.ensure_future(self._respond(name, context)) for name in names]
        await turn()
        return tasks

    async def end(self, name: str) -> None:
        self._ends.pop(name).set()
        await turn()

    async def tick(self) -> list[str]:
        """Let a tick pass; returns what has begun in it."""
        before = len(self.begun)
        self.clock.advance(TICK_S)
        self.ticks.pass_one()
        await turn()
        return self.begun[before:]

    async def end_all(self) -> None:
        while self._ends or self.ticks:
            for name in tuple(self._ends):
                await self.end(name)
            if self.ticks:
                await self.tick()

    async def _work(self, name: str, _context: Any) -> str:
        self.begun.append(name)
        end = self._ends[name] = asyncio.Event()
        await end.wait()
        return name


async def turn() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def named(letter: str, count: int) -> list[str]:
    return [f"{letter}{number}" for number in range(count)]
