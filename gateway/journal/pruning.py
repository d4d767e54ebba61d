"""Pruning: the work of deleting what exceeds the retention."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from gateway.journal.errors import LogUnavailableError
from gateway.journal.ports import EventLog, Index
from gateway.journal.retention import Retention

# How often the log is looked through for what is beyond its retention, in seconds.
PRUNE_INTERVAL_S = 30.0

_log = logging.getLogger(__name__)


def pruning(
    log: EventLog, retention: Retention, now: Callable[[], float]
) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
    """Return the work that deletes what exceeds the retention: none if the log does by itself."""
    if log.retention is not None:
        return {}
    return {"pruning": lambda: keep_within(log.index, retention, now)}


async def keep_within(index: Index, retention: Retention, now: Callable[[], float]) -> None:
    """Delete what exceeds the retention, again and again, until cancelled.

    `now` gives the time in seconds since 1970 that decides what is old enough.
    """
    while True:
        try:
            pruned = await index.prune(retention, now())
            if pruned:
                _log.info("deleted %d events that exceed the retention", pruned)
        except LogUnavailableError as error:
            _log.error("events that exceed the retention could not be deleted: %s", error)
        await asyncio.sleep(PRUNE_INTERVAL_S)
