"""Conferences as the provider knows them, asked for once for everybody who wants to know."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar

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
from gateway.telnyx.binding import Binding
from gateway.telnyx.client import TelnyxClient

# Answers older than this, in seconds, are forgotten: nobody asks for so old a state.
_KEPT_S = 60.0

# The most participants that the provider puts on a page.
_PAGE_SIZE = 250

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


@dataclass(frozen=True, slots=True)
class _Question:
    began_at: float
    task: asyncio.Task[ConferenceRead]


class ConferenceReader:
    """Fetches conferences. Questions have `timeout_s` seconds; `now` is the monotonic clock."""

    def __init__(
        self, client: TelnyxClient, timeout_s: float, now: Callable[[], float] = monotonic
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._now = now
        self._get = Binding.compile(_METHODS["GetConference"])
        self._list = Binding.compile(_METHODS["ListParticipants"])
        # By age: the newest is last.
        self._questions: dict[Place, _Question] = {}

    async def read(self, place: Place, since: float) -> ConferenceRead:
        """Return a conference as it was asked for at a moment or later. Raises GatewayError.

        A question that has been under way since, or has been answered since, is not asked again:
        a hundred who watch one conference cost the provider as much as one.
        """
        question = self._questions.get(place)
        if question is None or question.began_at < since or _failed(question.task):
            question = self._ask(place)
        # Others may wait for the same answer.
        found = await asyncio.shield(question.task)
        # Those who get it change it.
        return ConferenceRead(_copy(found.conference), [_copy(it) for it in found.participants])

    def _ask(self, place: Place) -> _Question:
        now = self._now()
        question = _Question(now, asyncio.create_task(self._fetch(place)))
        # Whoever asked may have gone when it fails.
        question.task.add_done_callback(_failed)
        for known, old in list(self._questions.items()):
            if old.began_at > now - _KEPT_S:
                break
            del self._questions[known]
        self._questions.pop(place, None)
        self._questions[place] = question
        return question

    async def _fetch(self, place: Place) -> ConferenceRead:
        deadline = Deadline.after(self._timeout_s)
        get = GetConferenceRequest(conference_id=place.conference_id, region=place.region)
        answer = await self._client.call(self._get, get, deadline, "")
        assert isinstance(answer, GetConferenceResponse)
        participants: list[Participant] = []
        page = ListParticipantsRequest(
            conference_id=place.conference_id, region=place.region, page_size=_PAGE_SIZE
        )
        while True:
            listed = await self._client.call(self._list, page, deadline, "")
            assert isinstance(listed, ListParticipantsResponse)
            participants.extend(listed.participants)
            if not listed.next_page_token:
                return ConferenceRead(answer.conference, participants)
            page.page_token = listed.next_page_token


def _failed(task: asyncio.Task[ConferenceRead]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _copy(message: M) -> M:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
