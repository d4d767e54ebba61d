"""Saturation: all places for requests to the provider are taken, and no response frees one.

The probe has a connection of its own, so it can find the provider well while the requests that are
under way hang: on connections that a proxy or a network has forgotten, for instance. Then no call
gets through this gateway, and only this tells.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Protocol

# How long every place may be taken without a response before the gateway is not ready, in seconds.
# The provider takes a tenth of one, and advises to send again after half of one, but it is allowed
# to be slow: at 6 s a request, 100 in flight end every 60 ms, and each end is a sign of life. Where
# all were sent at once, they end at once: so this is as long as a call has by default. Whoever gets
# its responses within that is served, and is no stall.
STALLED_S = 10.0

# How often to look, in seconds.
TICK_S = 1.0

_log = logging.getLogger(__name__)


class Places(Protocol):
    """The places for requests to the provider. Times are seconds."""

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
    """Tells when requests to the provider have stalled, and when that is over.

    That is when a response has come, or when a place is free at a look: what is left at a time-out
    and taken again at once is no way through. It looks by itself, and not as a part of the watch on
    the provider, for that waits for the responses to its own questions. `on_change` is awaited when
    `not_ready` has changed; `now` is the monotonic clock.
    """

    def __init__(
        self,
        places: Places,
        on_change: Callable[[], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._places = places
        self._on_change = on_change
        self._sleep = sleep
        self._now = now
        # When the present stall began, None without one, and how long nothing had come at the
        # latest look.
        self._since: float | None = None
        self._silence_s = 0.0

    @property
    def not_ready(self) -> str | None:
        """Why commands cannot be taken, None if they can."""
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
        places, now = self._places, self._now()
        stalled_s, before_s, self._silence_s = places.stalled_s, self._silence_s, places.silence_s
        if self._since is None:
            if stalled_s >= STALLED_S:
                self._since = now - stalled_s
                _log.warning(
                    "requests to the provider hang: %d are in flight (the maximum), %d of them"
                    " abandoned, with no response for %.0f s; commands fail until that changes,"
                    " the feed still works",
                    places.in_flight,
                    places.abandoned,
                    stalled_s,
                )
        elif stalled_s == 0 or self._silence_s < before_s:
            lasted_s, self._since = now - self._since, None
            _log.info("requests to the provider succeed again after %.0f s", lasted_s)
