"""A watch on the event loop: says when it stands still, and where.

Everything runs in one loop. While it stands still nothing responds, health included, and whoever
restarts the process for that takes the reason along. So a thread beside it looks on, and says where
the loop is. It cannot while code outside of Python keeps all threads from running.
"""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from time import monotonic
from types import FrameType

# How often the loop shows that it turns, and how often somebody looks, in seconds.
BEAT_S = 1.0

# How long the loop may show nothing, in seconds: much longer than any turn of it takes, and shorter
# than the time-out of those who restart what does not respond (10 s, three times).
STANDS_STILL_S = 5.0

# Calls of the loop's stack that are told, from the innermost outwards.
_FRAMES = 12

_log = logging.getLogger(__name__)


class LoopWatch:
    """Watches the loop that `run` runs in. `now` is the monotonic clock, in seconds."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = monotonic,
        every_s: float = BEAT_S,
    ) -> None:
        self._sleep = sleep
        self._now = now
        self._every_s = every_s
        self._beat_at = now()
        # When the present standstill began, None without one.
        self._since: float | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        over = threading.Event()
        self._beat_at = self._now()
        arguments = (threading.get_ident(), over)
        threading.Thread(target=self._watch, args=arguments, name="loopwatch", daemon=True).start()
        try:
            while True:
                self._beat_at = self._now()
                await self._sleep(self._every_s)
        finally:
            over.set()

    def _watch(self, loop_thread: int, over: threading.Event) -> None:
        while not over.wait(self._every_s):
            self._look(sys._current_frames().get(loop_thread))

    def _look(self, frame: FrameType | None) -> None:
        now, beat_at = self._now(), self._beat_at
        stands_still = now - beat_at >= STANDS_STILL_S
        if stands_still and self._since is None:
            self._since = beat_at
            where = "".join(traceback.format_stack(frame, _FRAMES)) if frame else "unknown"
            _log.error("the event loop stands still for %.0f s, at:\n%s", now - beat_at, where)
        elif not stands_still and self._since is not None:
            _log.warning("the event loop turns again after %.0f s", beat_at - self._since)
            self._since = None
