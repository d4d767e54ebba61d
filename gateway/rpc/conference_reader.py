"""Conferences as the provider knows them, asked for once for everybody who wants to know."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from grpc import StatusCode

from conferencing.v1.common_pb2 import Region
from conferencing.v1.conference_pb2 import Conference, Participant
from conferencing.v1.conference_service_pb2 import (
    DESCRIPTOR,
    GetConferenceRequest,
    GetConferenceResponse,
    ListParticipantsRequest,
    ListParticipantsResponse,
)
from gateway.deadline import Deadline
from gateway.errors import GatewayError
from gateway.telnyx.binding import Binding
from gateway.telnyx.client import TelnyxClient

# Answers older than this, in seconds, are forgotten: nobody asks for so old a state.
_KEPT_S = 60.0

# The most participants that the provider puts on a page.
_PAGE_SIZE = 250

# The most pages that are read. A conference has 800 participants at most: a list that is still not
# at its end never ends, whatever the provider says, and would fill the memory.
_PAGES_MAX = 100

M = TypeVar("M", Conference, Participant)

_METHODS = DESCRIPTOR.services_by_name["ConferenceService"].methods_by_name


@dataclass(frozen=True, slots=True)
class Place:
    """A conference, and where it is hosted."""

    conference_id: str
    region: Region.ValueType


@dataclass(frozen=True, slots=True)
class ConferenceRead:
    """A conference and everybody in it."""

    conference: Conference
    participants: Sequence[Participant]


@dataclass(slots=True)
class _Question:
    task: asyncio.Task[ConferenceRead]
    # When it was sent; never, as long as it waits for the one before it.
    began_at: float = math.inf


class ConferenceReader:
    """Fetches conferences. Questions have `timeout_s` seconds; `now` is the monotonic clock.

    For each conference one question is under way at a time, and one more waits for its end,
    however many want to know: a hundred who watch a conference cost the provider as much as one.
    """

    def __init__(
        self, client: TelnyxClient, timeout_s: float, now: Callable[[], float] = monotonic
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._now = now
        self._get = Binding.compile(_METHODS["GetConference"])
        self._list = Binding.compile(_METHODS["ListParticipants"])
        # The last that was sent, by age: the newest is at the end.
        self._sent: dict[Place, _Question] = {}
        self._waiting: dict[Place, _Question] = {}

    async def read(self, place: Place, since: float) -> ConferenceRead:
        """Return a conference as it was asked for at a moment or later. Raises GatewayError."""
        # Others may wait for the same answer. Not by a name of its own: a failure would hold the
        # question, which holds the failure, and with it the call of whoever asked.
        found = await asyncio.shield(self._question(place, since).task)
        # Those who get it change it.
        return ConferenceRead(_copy(found.conference), [_copy(it) for it in found.participants])

    async def close(self) -> None:
        """Give up all questions."""
        tasks = [it.task for it in (*self._sent.values(), *self._waiting.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _question(self, place: Place, since: float) -> _Question:
        sent = self._sent.get(place)
        if sent is None or (sent.task.done() and (sent.began_at < since or _failed(sent.task))):
            question = _Question(self._task(self._fetch(place)))
            self._note(place, question)
            return question
        if sent.began_at >= since:
            return sent
        waiting = self._waiting.get(place)
        if waiting is None:
            waiting = _Question(self._task(self._fetch_after(sent, place)))
            self._waiting[place] = waiting
        return waiting

    def _task(self, work: Coroutine[Any, Any, ConferenceRead]) -> "asyncio.Task[ConferenceRead]":
        task = asyncio.create_task(work)
        # Whoever asked may have gone when it fails: asyncio wants the failure to be looked at.
        task.add_done_callback(_failed)
        return task

    def _note(self, place: Place, question: _Question) -> None:
        question.began_at = now = self._now()
        for known, old in list(self._sent.items()):
            if old.began_at > now - _KEPT_S:
                break
            if old.task.done():
                del self._sent[known]
        self._sent.pop(place, None)
        self._sent[place] = question

    async def _fetch_after(self, before: _Question, place: Place) -> ConferenceRead:
        await asyncio.wait([before.task])
        self._note(place, self._waiting.pop(place))
        return await self._fetch(place)

    async def _fetch(self, place: Place) -> ConferenceRead:
        deadline = Deadline.after(self._timeout_s)
        get = GetConferenceRequest(conference_id=place.conference_id, region=place.region)
        answer = await self._client.call(self._get, get, deadline, "")
        assert isinstance(answer, GetConferenceResponse)
        participants: list[Participant] = []
        page = ListParticipantsRequest(
            conference_id=place.conference_id, region=place.region, page_size=_PAGE_SIZE
        )
        for _ in range(_PAGES_MAX):
            listed = await self._client.call(self._list, page, deadline, "")
            assert isinstance(listed, ListParticipantsResponse)
            participants.extend(listed.participants)
            if not listed.next_page_token:
                return ConferenceRead(answer.conference, participants)
            page.page_token = listed.next_page_token
        raise GatewayError(
            StatusCode.INTERNAL,
            "UPSTREAM_UNREADABLE_ANSWER",
            f"the provider's list of participants does not end after {_PAGES_MAX} pages",
        )


def _failed(task: asyncio.Task[ConferenceRead]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _copy(message: M) -> M:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
