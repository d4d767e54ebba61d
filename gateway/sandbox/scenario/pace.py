"""Waiting for moments of sandbox time, in a way that whoever moves the clock can follow."""

import asyncio

from gateway.sandbox.clock import Clock


class Pace:
    """When the next thing happens. It belongs to one task."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Set while nothing happens before the clock moves.
        self._rests = asyncio.Event()

    async def until(self, moment: float) -> None:
        """Wait until sandbox time has reached a moment, in seconds since 1970."""
        if moment <= self._clock.now():
            # Others have their turn, also in a loop of no length.
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()

        def wake() -> None:
            # Cleared here and not after the wait: whoever moved the clock looks at once.
            self._rests.clear()
            woken.set()

        timer = self._clock.call_at(moment, wake)
        self._rests.set()
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def end(self) -> None:
        """Let nobody wait: nothing more happens at all."""
        self._rests.set()

    async def settled(self) -> None:
        """Wait until nothing more happens before the clock moves."""
        await self._rests.wait()


def told_at(seconds: float, position: int, count: int) -> str:
    """Return when something happened and how far that is, as a person reads it."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02} {position:>{len(str(count))}}/{count}"


def one_line(text: str) -> str:
    """Return a text without what a terminal or a log would take for more than text."""
    return "".join(it if it.isprintable() else " " for it in text)
