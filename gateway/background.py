"""Work that goes on beside everything else for as long as the gateway runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from time import monotonic
from typing import Any, TypeAlias

# Before work that has failed is taken up again, in seconds.
PAUSE_S = 5.0

# How long work has to go on without a failure before it counts as well again, in seconds: longer
# than what mostly comes between a start and the first thing to do, some intervals of a minute.
_STEADY_S = 120.0

_log = logging.getLogger(__name__)

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def kept_running(
    name: str,
    work: Work,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    failed: Callable[[], None] = lambda: None,
) -> None:
    """Do endless work until cancelled, again from its beginning when it fails.

    Nobody awaits such work, so a mistake in it would end it without a word. `failed` is called at
    each failure.
    """
    while True:
        try:
            await work()
        except Exception:
            _log.exception("%s failed unexpectedly and restarts in %.0f s", name, PAUSE_S)
            failed()
        await sleep(PAUSE_S)


class Background:
    """Endless work side by side, and how it goes. `now` is the monotonic clock, in seconds."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failed_at: dict[str, float] = {}

    def start(self, works: Mapping[str, Work]) -> None:
        """Begin work, by name."""
        for name, work in works.items():
            self._tasks[name] = asyncio.create_task(
                kept_running(name, work, failed=partial(self._failed, name))
            )

    @property
    def failing(self) -> str | None:
        """Which work has failed lately and been taken up again, None if none has."""
        since = self._now() - _STEADY_S
        names = [name for name, at in self._failed_at.items() if at > since]
        return f"background work fails: {', '.join(names)}" if names else None

    @property
    def ended(self) -> str | None:
        """Which work has ended, so that nobody takes it up again; None if none has."""
        names = [name for name, task in self._tasks.items() if task.done()]
        return f"background work has ended: {', '.join(names)}" if names else None

    async def stop(self) -> None:
        """End all work."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _failed(self, name: str) -> None:
        self._failed_at[name] = self._now()
