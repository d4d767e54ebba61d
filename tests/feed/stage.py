"""A feed over a real log, and readers of it."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

from gateway.feed.feed import Feed
from gateway.feed.subscription import Subscription
from gateway.feed.window import Window
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.ports import EventLog
from gateway.journal.retention import Retention
from tests.contract.homes import Home
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT, new_event
from tests.harness.loop import LoopThread

ALL = Filter()
RETENTION = Retention(100, 2**40)

# What a home may take that starts servers first, in seconds.
_SERVERS_START_S = 90.0


class Given(NamedTuple):
    """What a subscriber was given, and how it stood then."""

    sequences: list[int]
    position: int
    live: bool
    drained: bool


async def next_of(subscription: Subscription, timeout: float) -> Given:
    batch = await subscription.next(timeout)
    numbers = [it.sequence for it in batch.frames]
    return Given(numbers, batch.through, subscription.live, subscription.drained)


class Stage:
    """A log, a feed with a small window, and readers of it."""

    def __init__(self, loop: LoopThread, home: Home, window: int) -> None:
        self._loop = loop
        self._open = AsyncExitStack()
        self.clock = ManualClock()
        self.log = loop.run(self._log_of(home), timeout=_SERVERS_START_S)
        self.window = Window(0, entries_max=window)
        self.feed = loop.call(lambda: Feed(self.log.index, self.window))

    def append(self, *events: Any) -> None:
        async def all_at_once() -> None:
            await asyncio.gather(*map(self.log.journal.append, events))

        self._loop.run(all_at_once())

    def numbered(self, count: int, **keys: Any) -> None:
        self.append(*[new_event(**keys) for _ in range(count)])

    def read(
        self, after: int, wanted: Filter = ALL, *, batch: int = 100, deliveries: int = 1
    ) -> list[Given]:
        async def read() -> list[Given]:
            with self.feed.subscribe(wanted, EVERYTHING, after, batch) as subscription:
                return [await next_of(subscription, 0.05) for _ in range(deliveries)]

        return self._loop.run(read())

    def read_all(self, after: int, wanted: Filter, batch: int) -> list[int]:
        async def read() -> list[int]:
            got: list[int] = []
            with self.feed.subscribe(wanted, EVERYTHING, after, batch) as subscription:
                while subscription.position < self.feed.newest:
                    delivery = await next_of(subscription, 0.05)
                    got += delivery.sequences
            return got

        return self._loop.run(read())

    def run(self, coroutine: Any) -> Any:
        return self._loop.run(coroutine)

    def close(self) -> None:
        self._loop.run(self._open.aclose())

    async def _log_of(self, home: Home) -> EventLog:
        place = await self._open.enter_async_context(home.place())
        log = await place.open(FORMAT)
        self._open.push_async_callback(log.close)
        return log
