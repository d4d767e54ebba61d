"""Saturation: all slots for requests to the provider are taken, and no response frees one.

The probe has a connection of its own, so it may succeed while the requests in flight hang: on
connections that a proxy or a network has forgotten, for instance. Then no call gets through this
gateway, and nothing else shows it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Protocol

# How long every slot may be taken without a response before the gateway is not ready, in seconds.
# The provider takes a tenth of one, and advises to retry after half of one, but it may be slow: at
# 6 s a request, 100 in flight end every 60 ms, and each end is a sign of life. Requests that were
# all sent at once end at once: so this is as long as a call has by default. Responses that come
# within that serve their callers, which is no stall.
STALLED_S = 10.0

# How often to look, in seconds.
TICK_S = 1.0

_log = logging.getLogger(__name__)


class RequestSlots(Protocol):
    """The slots for requests to the provider. Times are seconds."""

    @property
    def stalled_s(self) -> float:
        """How long all have been taken without a response; 0 while one is free."""

    @property
    def silence_s(self) -> float:
        """How long ago the latest response came."""

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""

    @property
    def abandoned(self) -> int:
        """How many of them nobody waits for any more."""


class Saturation:
    """Reports when requests to the provider have stalled, and when the stall is over.

    It is over when a response has come, or when a slot is found free: one that a time-out frees and
    a waiting request takes at once is not. This is no part of the watch on the provider, which
    waits for the responses to its own probes. `on_change` is awaited when `not_ready` has changed;
    `now` is the monotonic clock.
    """

    def __init__(
        self,
        slots: RequestSlots,
        on_change: Callable[[], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._slots = slots
        self._on_change = on_change
        self._sleep = sleep
        self._now = now
        # When the present stall began, None without one, and how long nothing had come at the
        # latest look.
        self._since: float | None = None
        self._silence_s = 0.0

    @property
    def not_ready(self) -> str | None:
        """Why commands cannot be accepted, None if they can."""
        if self._since is None:
            return None
        return "requests to the provider hang, and the maximum number is in flight"

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            before = self.not_ready
            self._look()
            if self.not_ready != before:
                await self._on_change()
            await self._sleep(TICK_S)

    def _look(self) -> None:
        slots, now = self._slots, self._now()
        stalled_s, before_s, self._silence_s = slots.stalled_s, self._silence_s, slots.silence_s
        if self._since is None:
            if stalled_s >= STALLED_S:
                self._since = now - stalled_s
                _log.warning(
                    "requests to the provider hang: %d are in flight (the maximum), %d of them"
                    " abandoned, with no response for %.0f s; commands fail until that changes,"
                    " the feed still works",
                    slots.in_flight,
                    slots.abandoned,
                    stalled_s,
                )
        elif stalled_s == 0 or self._silence_s < before_s:
            lasted_s, self._since = now - self._since, None
            _log.info("requests to the provider succeed again after %.0f s", lasted_s)
