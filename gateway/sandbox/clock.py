"""Sandbox time: a real clock that may run fast, and one that a test moves by hand.

Speech, playback, waiting limits and webhook retries are timed by this clock. What happens at
once (a participant joins, is muted) never waits for it.
"""

import asyncio
import heapq
import itertools
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

# Three years: event loops cannot count arbitrarily far ahead.
TIMER_MAX_S = 100_000_000.0

# Pending entries of the manual clock at which cancelled ones are first looked for.
_COMPACT_AT = 1024


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Make sure that it does not happen. Harmless when it already has."""


class Clock(Protocol):
    """What time it is in the sandbox."""

    def now(self) -> float:
        """Return the seconds since 1970, in sandbox time."""

    def call_at(self, when: float, action: Callable[[], None]) -> Timer:
        """Run `action` on the event loop once sandbox time has reached `when`."""


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait until `seconds` of sandbox time have passed."""
    if seconds <= 0:
        return
    reached = asyncio.Event()
    timer = clock.call_at(clock.now() + seconds, reached.set)
    try:
        await reached.wait()
    finally:
        timer.cancel()


def timestamp(seconds: float) -> str:
    """Write a time as ISO 8601 in UTC with microseconds, as the provider does."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant(text: str) -> float:
    """Return the seconds since 1970 for an ISO 8601 text; without an offset it is in UTC.

    Raises ValueError if the text is no time.
    """
    # A "+" that was not percent-encoded arrives as a blank.
    moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text))
    if moment.tzinfo is None:
        moment = datetime.fromisoformat(moment.isoformat() + "+00:00")
    return moment.timestamp()


class RealClock:
    """Runs with the event loop, `speed` sandbox seconds to each real one."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._epoch = time.time()
        self._started = time.monotonic()

    def now(self) -> float:
        """Return the time of the start, and what has passed since multiplied by the speed."""
        return self._epoch + (time.monotonic() - self._started) * self._speed

    def call_at(self, when: float, action: Callable[[], None]) -> Timer:
        """Have the event loop run it after the real time that this takes."""
        delay = min(max(0.0, when - self.now()) / self._speed, TIMER_MAX_S)
        return asyncio.get_running_loop().call_later(delay, action)


class _Entry:
    """One pending action of the manual clock."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class ManualClock:
    """Stands still until told otherwise. It starts at the real time of its creation."""

    def __init__(self, start: float | None = None) -> None:
        self._now = time.time() if start is None else start
        self._pending: list[tuple[float, int, _Entry]] = []
        self._order = itertools.count()
        self._compact_at = _COMPACT_AT

    def now(self) -> float:
        """Return the moment the clock was last moved to."""
        return self._now

    def call_at(self, when: float, action: Callable[[], None]) -> Timer:
        """Keep it until the clock is moved that far."""
        if len(self._pending) >= self._compact_at:
            # Time may stand still for very long while timers are set and cancelled.
            self._pending = [it for it in self._pending if it[2].action is not None]
            heapq.heapify(self._pending)
            self._compact_at = max(_COMPACT_AT, 2 * len(self._pending))
        entry = _Entry(action)
        heapq.heappush(self._pending, (max(when, self._now), next(self._order), entry))
        return entry

    async def advance(self, seconds: float, settle: Callable[[], Awaitable[None]]) -> None:
        """Move time forward, running each timer at its own moment.

        `settle` is awaited after each timer, so that what a timer started (a webhook attempt
        that fails and plans the next one) is over before time moves on.
        """
        if seconds < 0:
            raise ValueError(f"time only moves forward: cannot advance by {seconds} seconds")
        await settle()
        target = self._now + seconds
        while self._pending and self._pending[0][0] <= target:
            when, _, entry = heapq.heappop(self._pending)
            if entry.action is None:
                continue
            self._now = max(self._now, when)
            entry.action()
            await settle()
        self._now = max(self._now, target)
