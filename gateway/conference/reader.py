"""Conferences as the provider knows them, read once for all who watch them."""

import asyncio
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple, TypeVar

from conferencing.v1.common_pb2 import Region
from conferencing.v1.conference_pb2 import Conference, Participant
from conferencing.v1.conference_service_pb2 import GetConferenceRequest, ListParticipantsRequest
from gateway.conference.errors import ConferenceError, EndlessListError
from gateway.conference.fair_queue import Ask, FairQueue, Rank
from gateway.conference.ports import ConferenceSource
from gateway.deadline import Deadline
from gateway.tokenbucket import TokenBucket

# Responses older than this, in seconds, are forgotten: nobody wants so old a state.
_KEPT_S = 60.0

# The most participants that the provider puts on a page.
PAGE_SIZE = 250

# The most pages that are read. A conference has 800 participants at most: a longer list never ends,
# whatever the provider says, and would fill the memory.
_PAGES_MAX = 100

# The requests that may be sent at once are those of so many seconds: after a restart all watches
# come back together, and most of them need not wait.
BURST_S = 10

# What a read takes: the conference, and the first page of its participants. The rest of a long list
# has to wait for its turns, but goes before all reads that have not begun.
REQUESTS_PER_READ = 2

M = TypeVar("M", Conference, Participant)


@dataclass(frozen=True, slots=True)
class ConferenceRef:
    """Which conference is meant: its id, and where it is hosted."""

    conference_id: str
    region: Region.ValueType


@dataclass(frozen=True, slots=True)
class ConferenceRead:
    """A conference and everybody in it."""

    conference: Conference
    participants: Sequence[Participant]


class Priority(NamedTuple):
    """How soon to read: reads of one `flow` wait for each other before others wait for them.

    `patience_s` is the longest time in seconds that is waited for the turn.
    """

    flow: Hashable
    rank: Rank
    patience_s: float = math.inf


class _Fetch(NamedTuple):
    task: asyncio.Task[ConferenceRead]
    began_at: float


class ConferenceReader:
    """Reads conferences, each within `timeout_s` seconds; `now` is the monotonic clock.

    For each conference one fetch is in flight at a time, and one more waits for its end, however
    many readers there are: a hundred watches of a conference cost the provider as much as one. All
    conferences together cost it `requests_per_s`, and ten times as many in a burst.
    """

    def __init__(
        self,
        source: ConferenceSource,
        timeout_s: float,
        requests_per_s: int,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._source = source
        self._timeout_s = timeout_s
        self._now = now
        self.queue = FairQueue(TokenBucket(requests_per_s, requests_per_s * BURST_S, now))
        # The latest fetch of each, by age: the newest is at the end.
        self._sent: dict[ConferenceRef, _Fetch] = {}

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What `read` raises."""
        return (ConferenceError, *self._source.failures)

    async def read(self, ref: ConferenceRef, since: float, priority: Priority) -> ConferenceRead:
        """Return a conference as fetched at a moment or later. Raises `failures`."""
        # Others may wait for the same response. Not by a name of its own: a failure would hold the
        # fetch, which holds the failure, and with it the call of the reader.
        found = await asyncio.shield((await self._fetched(ref, since, priority)).task)
        # Readers change what they get.
        return ConferenceRead(_copy(found.conference), [_copy(it) for it in found.participants])

    async def close(self) -> None:
        """Cancel all fetches."""
        self.queue.close()
        tasks = [it.task for it in self._sent.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetched(self, ref: ConferenceRef, since: float, priority: Priority) -> _Fetch:
        """Return a fetch that was sent at a moment or later. Raises TooBusyError."""
        while True:
            sent = self._sent.get(ref)
            if sent is not None:
                if sent.began_at >= since and not _failed(sent.task):
                    return sent
                if not sent.task.done():
                    await asyncio.wait([sent.task])
                    continue
            ask = Ask(priority.flow, ref, REQUESTS_PER_READ, priority.rank, priority.patience_s)
            if await self.queue.turn(ask):
                return self._send(ref)

    def _send(self, ref: ConferenceRef) -> _Fetch:
        now = self._now()
        for known, old in list(self._sent.items()):
            if old.began_at > now - _KEPT_S:
                break
            if old.task.done():
                del self._sent[known]
        self._sent.pop(ref, None)
        fetch = self._sent[ref] = _Fetch(asyncio.create_task(self._fetch(ref)), now)
        # The reader may have left when it fails: asyncio wants the failure to be looked at.
        fetch.task.add_done_callback(_failed)
        return fetch

    async def _fetch(self, ref: ConferenceRef) -> ConferenceRead:
        deadline = Deadline.after(self._timeout_s, now=self._now)
        # Retries count, too.
        retried = self.queue.spend
        get = GetConferenceRequest(conference_id=ref.conference_id, region=ref.region)
        conference = (await self._source.conference(get, deadline, retried)).conference
        participants: list[Participant] = []
        page = ListParticipantsRequest(
            conference_id=ref.conference_id, region=ref.region, page_size=PAGE_SIZE
        )
        for _ in range(_PAGES_MAX):
            listed = await self._source.participants(page, deadline, retried)
            participants.extend(listed.participants)
            if not listed.next_page_token:
                return ConferenceRead(conference, participants)
            page.page_token = listed.next_page_token
            await self.queue.turn(Ask(ref, object(), 1, Rank.BEGUN, deadline.remaining()))
        raise EndlessListError(
            f"the provider's list of participants has more than {_PAGES_MAX} pages"
        )


def _failed(task: asyncio.Task[ConferenceRead]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _copy(message: M) -> M:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
