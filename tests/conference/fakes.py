"""What a watched conference needs, made small: events that a test posts, a provider, the time."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from conferencing.v1.conference_pb2 import (
    CONFERENCE_STATUS_IN_PROGRESS,
    PARTICIPANT_STATUS_JOINED,
    Conference,
    Participant,
)
from conferencing.v1.conference_service_pb2 import (
    GetConferenceRequest,
    GetConferenceResponse,
    ListParticipantsRequest,
    ListParticipantsResponse,
)
from conferencing.v1.event_pb2 import Event
from gateway.conference.ports import EventBatch
from gateway.deadline import Deadline
from gateway.journal.filter import Filter


class LoopTime:
    """The time of the loop, which is the test's to run; the loop begins at `began_s` of 1970."""

    began_s = 1_700_000_000.0

    def __init__(self) -> None:
        self._began = self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def time(self) -> float:
        return self.began_s + self.monotonic() - self._began


class EventsBrokenError(Exception):
    pass


class Following:
    """One stream of a conference's events."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.waiting: list[Event] = []
        self.draining = False
        self.broken = False
        self._woken = asyncio.Event()

    def interrupt(self) -> None:
        self._woken.set()

    def let_go(self) -> None:
        self.draining = True
        self.interrupt()

    async def next(self, timeout: float) -> EventBatch:
        if not self.waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._woken.wait()
        self._woken.clear()
        if self.broken:
            raise EventsBrokenError
        events, self.waiting = self.waiting, []
        if events:
            self.position = events[-1].sequence
        return EventBatch(events, self.draining)


class PostedEvents:
    """Events as a test posts them."""

    def __init__(self) -> None:
        self._newest = 0
        self.open: dict[str, list[Following]] = defaultdict(list)

    @contextmanager
    def following(self, conference_id: str, visible: Filter) -> Iterator[Following]:
        stream = Following(self._newest)
        self.open[conference_id].append(stream)
        try:
            yield stream
        finally:
            self.open[conference_id].remove(stream)

    def post(self, *events: Event) -> None:
        """Have events come in one batch."""
        for event in events:
            self._newest += 1
            event.sequence = self._newest
            for stream in self.open[event.conference_id]:
                stream.waiting.append(event)
                stream.interrupt()

    def end(self, *, broken: bool = False) -> None:
        """Have all streams drain, or break."""
        for streams in self.open.values():
            for stream in streams:
                stream.draining, stream.broken = not broken, broken
                stream.interrupt()


class RefusedError(Exception):
    """What the provider's source raises."""


class PlainProvider:
    """Says of every conference what it is told to, after a while, a few participants at a time."""

    failures: tuple[type[Exception], ...] = (RefusedError,)

    def __init__(self) -> None:
        self.status = CONFERENCE_STATUS_IN_PROGRESS
        self.seats: dict[str, Participant] = {}
        self.page_size = 250
        self.takes_s = 0.1
        self.refuses = False
        # How often each request is sent again.
        self.retries = 0
        self.is_endless = False
        # When it was asked for which conference, one moment for all pages.
        self.asked: list[tuple[float, str]] = []
        self.pages_asked = 0

    def seat(self, call: str, **fields: object) -> None:
        """Have somebody be in the conferences."""
        known = self.seats.setdefault(call, Participant(id=f"id-{call}", call_control_id=call))
        known.status = PARTICIPANT_STATUS_JOINED
        for name, value in fields.items():
            setattr(known, name, value)

    async def conference(
        self, request: GetConferenceRequest, deadline: Deadline, retried: Callable[[int], None]
    ) -> GetConferenceResponse:
        self.asked.append((asyncio.get_running_loop().time(), request.conference_id))
        said = Conference(id=request.conference_id, status=self.status)
        await self._take_time(retried)
        return GetConferenceResponse(conference=said)

    async def participants(
        self, request: ListParticipantsRequest, deadline: Deadline, retried: Callable[[int], None]
    ) -> ListParticipantsResponse:
        self.pages_asked += 1
        first = int(request.page_token or 0)
        page = list(self.seats.values())[first : first + self.page_size]
        said = ListParticipantsResponse(participants=page)
        if self.is_endless or first + self.page_size < len(self.seats):
            said.next_page_token = str(first + self.page_size)
        await self._take_time(retried)
        return said

    async def _take_time(self, retried: Callable[[int], None]) -> None:
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            retried(self.retries)
        if self.refuses:
            raise RefusedError
