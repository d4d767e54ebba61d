"""Rounds: how often those who follow live are woken, and how many at a time.

A write to a stream costs the event loop the same for one event as for fifty. Waking everybody for
each commit would leave no time to take in webhooks, and everybody would wait for that. So after
subscribers were woken there is a pause, the longer the more they were: a few of them hear of each
commit at once, a thousand of them ten times a second of all that has come since. And they are
woken a few at a time, so that whatever else the loop has to do gets its turn in between.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

# From the beginning of a round to that of the next, for each subscriber that is concerned, in
# seconds. A write takes about 50 us of the loop on a slow core: for up to 1,000 of them, half of
# its time goes into writes. Where there is time to spare, twice as much costs a third more delay;
# where there is none, it makes no difference.
PAUSE_PER_STREAM_S = 0.0001

# The longest pause, in seconds: what a person does not notice.
PAUSE_MAX_S = 0.1

# How many are woken in one turn of the loop: their writes take it about a millisecond.
AT_A_TIME = 16


class Timers(Protocol):
    """What rounds need of an event loop."""

    def time(self) -> float:
        """Return the time of the loop's clock, in seconds."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Call back in the loop's next turn."""

    def call_at(self, when: float, callback: Callable[[], None], /) -> object:
        """Call back when the clock shows a time."""


class Sleeper(Protocol):
    """Who can be woken."""

    def wake(self) -> object:
        """Have it look for what has come."""


class Rounds:
    """Runs rounds when they are asked for, with pauses between them.

    `concerned` begins a round and returns whom it has to wake. Those who are awake count, too:
    they write again as soon as they see something new. `woken` is given their number when all of
    them have been woken.
    """

    def __init__(
        self,
        concerned: Callable[[], Sequence[Sleeper]],
        loop: Callable[[], Timers] = asyncio.get_running_loop,
        woken: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._concerned = concerned
        self._woken = woken
        self._count = 0
        self._loop = loop
        self._next_at = 0.0
        self._to_wake: Sequence[Sleeper] = ()
        self._running = False
        self._asked = False

    def ask(self) -> None:
        """Have a round run: now, or when the pause is over."""
        if self._running:
            self._asked = True
            return
        loop = self._loop()
        self._running = True
        if loop.time() >= self._next_at:
            self._begin()
        else:
            loop.call_at(self._next_at, self._begin)

    def _begin(self) -> None:
        self._asked = False
        try:
            self._to_wake = self._concerned()
            self._count = len(self._to_wake)
        except BaseException:
            # Whatever it was: the next to ask must not wait for ever.
            self._running = False
            raise
        self._next_at = min(len(self._to_wake) * PAUSE_PER_STREAM_S, PAUSE_MAX_S)
        self._next_at += self._loop().time()
        self._wake_some()

    def _wake_some(self) -> None:
        for sleeper in self._to_wake[:AT_A_TIME]:
            sleeper.wake()
        self._to_wake = self._to_wake[AT_A_TIME:]
        if self._to_wake:
            self._loop().call_soon(self._wake_some)
            return
        self._running = False
        self._woken(self._count)
        if self._asked:
            self.ask()
