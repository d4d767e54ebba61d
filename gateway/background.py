"""Work that goes on beside everything else for as long as the gateway runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

# Before work that has failed is taken up again, in seconds.
PAUSE_S = 5.0

_log = logging.getLogger(__name__)


async def kept_running(
    name: str,
    work: Callable[[], Coroutine[Any, Any, None]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Do endless work until cancelled, again from its beginning when it fails.

    Nobody awaits such work, so a mistake in it would end it without a word.
    """
    while True:
        try:
            await work()
        except Exception:
            _log.exception("%s failed unexpectedly and restarts in %.0f s", name, PAUSE_S)
        await sleep(PAUSE_S)
