"""Subscribers of a schedule: what they are sent is written down, and they may stop reading."""

import asyncio
from typing import cast

from gateway.feed.feed import Feed
from gateway.feed.subscription import Subscription
from gateway.journal.errors import LogUnavailableError
from gateway.journal.filter import Filter
from gateway.server.errors import GatewayError
from gateway.server.services.subscribe import SubscribeStream
from tests.harness.calls import HeldWire, call_of
from tests.oracle.history import Ended, Opening, Stream
from tests.oracle.model import Era


class CountedSubscription(Subscription):
    """Counts how often it is woken."""

    stream: Stream

    def wake(self) -> bool:
        woken = super().wake()
        self.stream.wakes = (self.stream.wakes or 0) + woken
        return woken


class CountingFeed(Feed):
    """A feed whose subscriptions count; they are told apart by the task that opens them."""

    streams: dict[asyncio.Task[None], Stream]

    def subscribe(
        self, wanted: Filter, visible: Filter, position: int, batch_max: int
    ) -> Subscription:
        subscription = CountedSubscription(
            self._dispatcher, self.index, wanted, visible, position, batch_max
        )
        task = cast("asyncio.Task[None]", asyncio.current_task())
        subscription.stream = self.streams[task]
        return subscription


class Reader:
    """One subscriber, over all of its streams."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.streams: list[Stream] = []
        self.cursors: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._reads = asyncio.Event()
        self._reads.set()
        self._leaving = "left"

    @property
    def is_open(self) -> bool:
        return self._task is not None and not self._task.done()

    @property
    def stalled(self) -> bool:
        return not self._reads.is_set()

    def stall(self) -> None:
        self._reads.clear()

    def unstall(self) -> None:
        self._reads.set()

    def open(
        self, feed: CountingFeed, answer: SubscribeStream, era: Era, opening: Opening, window: int
    ) -> Stream:
        stream = Stream(f"{self.name}.{len(self.streams)}", opening, era.epoch, era.known)
        stream.window = window
        self.streams.append(stream)
        self._leaving = "left"
        self._task = asyncio.create_task(self._follow(answer, era, stream))
        feed.streams[self._task] = stream
        return stream

    def leave(self, how: str = "left") -> None:
        if self._task is not None and not self._task.done():
            self._leaving = how
            self._task.cancel()

    async def gone(self, how: str = "left") -> None:
        """Leave, and return when nothing is left of it."""
        self.leave(how)
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def break_off(self, era: Era) -> None:
        """From this moment on nothing reaches it."""
        if self.is_open:
            self.streams[-1].ended = Ended("broken")
            self.streams[-1].ended_at = era.known
            self.leave("broken")

    async def _follow(self, answer: SubscribeStream, era: Era, stream: Stream) -> None:
        # As late as this: what was in flight when the request was made may be known by now.
        stream.opened = era.known
        reader = self

        async def record(response: bytes) -> None:
            await asyncio.sleep(0)
            await reader._reads.wait()
            if stream.ended is None:
                stream.take(response, era.known)
                reader.cursors.append(str(stream.responses[-1].cursor))

        try:
            await answer.subscribe(call_of(stream.opening.request(), HeldWire(record)))
            ended = Ended("ok")
        except GatewayError as error:
            ended = Ended(error.code.name, error.reason, error.metadata)
        except LogUnavailableError as error:
            ended = Ended("UNAVAILABLE", str(error))
        except asyncio.CancelledError:
            ended = Ended(self._leaving)
        if stream.ended is None:
            stream.ended, stream.ended_at = ended, era.known
