"""An event loop whose time a test moves, and that knows when nothing moves any more.

Threads are real: what they bring wakes the loop as ever. Only timers wait for the test.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

# Several times as many turns as any schedule takes, of which none needs 15,000: whoever needs more
# never comes to rest.
_TURNS_MAX = 60_000

# Longer than any pause between deliveries, and much shorter than the time between heartbeats.
MOMENT_S = 0.11


class RestlessError(AssertionError):
    """Something goes on for ever."""


class SteppedLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._now = 0.0
        super().__init__()
        self._in_threads: set[asyncio.Future[Any]] = set()
        # What asyncio would otherwise write to standard error.
        self.troubles: list[str] = []
        self.set_exception_handler(lambda _, context: self.troubles.append(str(context)))

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._in_threads.add(future)
        future.add_done_callback(self._in_threads.discard)
        return future

    def in_thread(self) -> asyncio.Future[Any]:
        """Return a future that a thread will end: until then nothing is at rest."""
        future = self.create_future()
        self._in_threads.add(future)
        future.add_done_callback(self._in_threads.discard)
        return future

    async def rest(self) -> None:
        """Return when no task can go on and no thread has work that a task waits for.

        Pauses of a moment pass meanwhile; heartbeats and the like do not.
        """
        await self._settle()
        self.advance(MOMENT_S)
        await self._settle()

    async def _settle(self) -> None:
        for _ in range(_TURNS_MAX):
            await asyncio.sleep(0)
            # What asyncio would run next; there is no public name for it.
            if getattr(self, "_ready"):  # noqa: B009
                continue
            if not self._in_threads:
                return
            await asyncio.wait(self._in_threads, return_when=asyncio.FIRST_COMPLETED)
        raise RestlessError("something goes on without end")

    async def turn_until(self, happened: Callable[[], bool]) -> None:
        """Return when something has happened that no thread is needed for."""
        for _ in range(_TURNS_MAX):
            if happened():
                return
            self.advance(MOMENT_S / 100)
            await asyncio.sleep(0)
        raise RestlessError("what was waited for has not happened")


class Late:
    """Brings what threads have to say into the loop some turns late, in its order.

    As a loop does that has much else to do: what a commit changed can be read before it is told.
    """

    def __init__(self, loop: SteppedLoop, turns: int) -> None:
        self._loop = loop
        self._turns = turns
        self._waiting: deque[Callable[[], None]] = deque()

    def call(self, callback: Callable[[], None]) -> None:
        """Can be called from any thread."""
        self._loop.call_soon_threadsafe(self._take, callback)

    def _take(self, callback: Callable[[], None]) -> None:
        self._waiting.append(callback)
        if len(self._waiting) == 1:
            self._turn(self._turns)

    def _turn(self, left: int) -> None:
        if left:
            self._loop.call_soon(self._turn, left - 1)
            return
        self._waiting.popleft()()
        if self._waiting:
            self._turn(self._turns)


def run_stepped(main: Callable[[SteppedLoop], Any]) -> Any:
    """Run a coroutine function, given its loop, to the end."""

    async def start() -> Any:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        return await main(loop)

    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(start())
