"""Appends through the gateway's own log: what is left of ingest without HTTP and signatures.

Run as `python -m bench.feed.jetstream.appends ADDRESS STREAM INDEX`; it answers orders (see
`remote`).
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import uvloop

from bench.contestants.contestant import CheckError
from bench.feed.remote import answer_orders
from bench.feed.webhooks import NewEvents
from gateway.journal.events import NewEvent
from gateway.journal.jetstream import StreamPlace, open_log
from gateway.journal.ports import EventLog
from gateway.journal.retention import Retention
from gateway.process import tune_interpreter
from tests.harness.events import FORMAT

# Nothing is dropped for its age; the size is reserved on the disk.
_LIMITS = Retention(86_400.0, 2 * 2**30)


class Appends:
    """Appends events to a log, each with a number of its own."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._made = NewEvents()
        self._next = 0

    async def append(self, count: int, together: int) -> dict[str, float]:
        """Append so many events, as many at a time as told; returns how long that took."""
        numbers = range(self._next, self._next + count)
        self._next += count
        events = iter([self._made.event(it) for it in numbers])
        started = monotonic()
        await asyncio.gather(*(self._each(events) for _ in range(together)))
        seconds = monotonic() - started
        if self._log.index.span.count != self._next:
            raise CheckError(f"not all of {self._next} events are in the index")
        return {"seconds": seconds}

    async def _each(self, events: Iterator[NewEvent]) -> None:
        for event in events:
            await self._log.journal.append(event)


async def _main(address: str, stream: str, index: str) -> None:
    tune_interpreter()
    log = await open_log(StreamPlace((address,), stream), Path(index), FORMAT, _LIMITS)
    await answer_orders({"append": Appends(log).append})
    await log.close()


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
