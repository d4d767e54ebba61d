"""Rounds: how often those who follow live are woken.

A write to a stream costs the event loop the same for one event as for fifty. Waking everybody for
each commit would leave no time to take in webhooks, and everybody would wait for that. So after
subscribers were woken there is a pause, the longer the more they were: a few of them hear of each
commit at once, a thousand of them ten times a second of all that has come since.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

# The pause for each subscriber that was woken, in seconds. A write takes about 50 us of the loop on
# a slow core: at most a quarter of its time goes into writes.
PAUSE_PER_STREAM_S = 0.0002

# The longest pause, in seconds: what a person does not notice.
PAUSE_MAX_S = 0.1


class Timers(Protocol):
    """What rounds need of an event loop."""

    def time(self) -> float:
        """Return the time of the loop's clock, in seconds."""

    def call_at(self, when: float, callback: Callable[[], None], /) -> object:
        """Call back when the clock shows a time."""


class Rounds:
    """Runs rounds when they are asked for, with pauses between them.

    `run` wakes whom it has to and returns how many they were.
    """

    def __init__(
        self, run: Callable[[], int], loop: Callable[[], Timers] = asyncio.get_running_loop
    ) -> None:
        self._run = run
        self._loop = loop
        self._next_at = 0.0
        self._waiting = False

    def ask(self) -> None:
        """Have a round run: now, or when the pause is over."""
        if self._waiting:
            return
        loop = self._loop()
        if loop.time() >= self._next_at:
            self._go()
        else:
            self._waiting = True
            loop.call_at(self._next_at, self._go)

    def _go(self) -> None:
        self._waiting = False
        pause = min(self._run() * PAUSE_PER_STREAM_S, PAUSE_MAX_S)
        self._next_at = self._loop().time() + pause
