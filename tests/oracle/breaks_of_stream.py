"""Breaks of the log in a NATS stream: its journal, what follows it, and the copies of it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Appended, NewEvent
from gateway.journal.jetstream import publishing
from gateway.journal.jetstream.following import Following
from gateway.journal.jetstream.journal import JetStreamJournal
from gateway.journal.jetstream.pulling import Delivered, Pull
from gateway.journal.reading import Span
from gateway.journal.sqlite.writer import GroupWriter

Patches = Sequence[tuple[Any, str, Any]]


def acknowledges_before_the_broker() -> Patches:
    """Answers 2xx at once, and stores when it can."""
    original = JetStreamJournal.append
    under_way: set[asyncio.Task[None]] = set()

    async def store(self: Any, event: NewEvent) -> None:
        with suppress(LogUnavailableError):  # nobody is left to tell
            await original(self, event)

    async def append(self: Any, event: NewEvent) -> Appended:
        task = asyncio.create_task(store(self, event))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return Appended(self.span.newest + 1, duplicate=False)

    return [(JetStreamJournal, "append", append)]


def stores_what_is_held() -> Patches:
    """Does not ask the stream to refuse an id that it has."""
    return [(publishing, "_FIRST", {})]


def counts_by_itself() -> Patches:
    """Follows from one event too late, and gives what comes the numbers that are next here.

    And takes itself for complete: else its bounded streams would wait for the missing event.
    """

    async def take(self: Any, messages: Sequence[Delivered]) -> None:
        come = [it for it in messages if it.sequence > self._newest]
        if come:
            await self._copy.take(self._newest + 1, [self._event(it) for it in come])
        self._extent.reaches(messages[-1].sequence)
        self._arrivals.moved(self._newest)

    complete = property(lambda _: None)
    return [*_begins_one_late(), (Following, "_take", take), (Following, "lag", complete)]


def drops_for_a_hole_of_its_own() -> Patches:
    """Follows from one event too late, and takes what it has skipped for deleted."""
    return _begins_one_late()


def keeps_what_the_stream_has_dropped() -> Patches:
    """Begins where the stream's clamped start is, and does not look at what it has itself."""

    async def begin_after(self: Any, number: int) -> None:
        def go_on() -> None:
            self._span = Span(self._span.oldest, max(self._span.newest, number))

        await self._alone(go_on)

    return [(GroupWriter, "begin_after", begin_after)]


def _begins_one_late() -> Patches:
    original = Pull.begin.__func__  # type: ignore[attr-defined]

    async def begin(cls: Any, broker: Any, api: Any, after: int) -> Pull:
        # Not at the very beginning, where everybody would see it.
        pull: Pull = await original(cls, broker, api, after + (after > 0))
        return pull

    return [(Pull, "begin", classmethod(begin))]
