"""WatchConference: the whole state of a conference, then each change."""

import logging
import random
from collections.abc import Callable, Iterable
from time import monotonic

from conferencing.v1.conference_pb2 import Conference, Participant
from conferencing.v1.conference_service_pb2 import (
    DESCRIPTOR,
    GetConferenceRequest,
    GetConferenceResponse,
    ListParticipantsRequest,
    ListParticipantsResponse,
)
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_MAX_AGE,
    DRAIN_REASON_SHUTDOWN,
    Drain,
    DrainReason,
    WatchConferenceRequest,
    WatchConferenceResponse,
)
from gateway.deadline import Deadline
from gateway.errors import GatewayError
from gateway.events.feed import Feed, Subscription
from gateway.events.filter import Filter
from gateway.events.frames import event_of
from gateway.events.start import Start, loss_error
from gateway.rpc.calls import Context
from gateway.rpc.conference_state import Change, ConferencePicture
from gateway.rpc.passing import PassedCommand, PassingCommands
from gateway.rpc.requests import read_heartbeat
from gateway.rpc.subscribe import BATCH_DEFAULT, StreamTimes
from gateway.telnyx.binding import Binding
from gateway.telnyx.client import TelnyxClient

# How often the provider is asked while somebody watches, in seconds: nothing else tells of a mute
# or hold that did not pass through this gateway.
REFRESH_INTERVAL_S = 30.0

_log = logging.getLogger(__name__)

_METHODS = DESCRIPTOR.services_by_name["ConferenceService"].methods_by_name


class ConferenceReader:
    """Fetches a conference and everybody in it from the provider."""

    def __init__(self, client: TelnyxClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._get = Binding.compile(_METHODS["GetConference"])
        self._list = Binding.compile(_METHODS["ListParticipants"])

    async def read(self, request: WatchConferenceRequest) -> tuple[Conference, list[Participant]]:
        """Return the conference and its participants. Raises GatewayError."""
        deadline = Deadline.after(self._timeout_s)
        get = GetConferenceRequest(conference_id=request.conference_id, region=request.region)
        answer = await self._client.call(self._get, get, deadline, "")
        assert isinstance(answer, GetConferenceResponse)
        participants: list[Participant] = []
        page = ListParticipantsRequest(
            conference_id=request.conference_id, region=request.region, page_size=250
        )
        while True:
            listed = await self._client.call(self._list, page, deadline, "")
            assert isinstance(listed, ListParticipantsResponse)
            participants.extend(listed.participants)
            if not listed.next_page_token:
                return answer.conference, participants
            page.page_token = listed.next_page_token


class WatchStream:
    """Answers WatchConference. `age_max_s` is how long one stream stays open, in seconds."""

    def __init__(
        self,
        feed: Feed,
        reader: ConferenceReader,
        passing: PassingCommands,
        age_max_s: float,
        random_: random.Random,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._feed = feed
        self._reader = reader
        self._passing = passing
        self._age_max_s = age_max_s
        self._random = random_
        self._now = now

    async def watch_conference(self, request: WatchConferenceRequest, context: Context) -> None:
        """Write the state, then its changes, until the conference has ended or the caller goes."""
        given = request.heartbeat_interval if request.HasField("heartbeat_interval") else None
        times = StreamTimes(read_heartbeat(given), self._age_max_s).jittered(self._random)
        wanted = Filter(conference_id=frozenset([request.conference_id]))
        commands: list[PassedCommand] = []
        # The position and the commands first, the provider's state after them: what happens in
        # between is in both, and taking it in twice changes nothing.
        with (
            self._feed.subscribe(wanted, Start(self._feed.newest), BATCH_DEFAULT) as subscription,
            self._passing.listening(request.conference_id, commands.append),
        ):
            picture = ConferencePicture(*await self._reader.read(request))
            stream = _Watch(self._feed, context, subscription, picture)
            await stream.write(WatchConferenceResponse(snapshot=picture.snapshot()))
            with self._passing.listening(
                request.conference_id, lambda command: subscription.interrupt()
            ):
                await self._follow(request, stream, commands, times)

    async def _follow(
        self,
        request: WatchConferenceRequest,
        stream: "_Watch",
        commands: list[PassedCommand],
        times: StreamTimes,
    ) -> None:
        ends_at = self._now() + times.age_max_s
        refresh_at = self._now() + REFRESH_INTERVAL_S
        # Whom the provider has been asked about: an event does not tell who joins muted.
        asked: frozenset[str] = frozenset()
        while not stream.picture.has_ended:
            now = self._now()
            if now >= ends_at:
                await stream.drain(DRAIN_REASON_MAX_AGE)
                return
            strangers = stream.picture.strangers
            if commands or now >= refresh_at or strangers - asked:
                asked |= strangers
                passed = commands.copy()
                commands.clear()
                await stream.tell([stream.picture.learn(it.name, it.request) for it in passed])
                await self._refresh(request, stream)
                refresh_at = self._now() + REFRESH_INTERVAL_S
                continue
            if not await stream.forward(min(times.heartbeat_s, ends_at - now, refresh_at - now)):
                return

    async def _refresh(self, request: WatchConferenceRequest, stream: "_Watch") -> None:
        try:
            answer = await self._reader.read(request)
        except GatewayError as error:
            # The events go on; the provider is asked again at the next occasion.
            _log.debug("conference %s could not be refreshed: %s", request.conference_id, error)
            return
        await stream.tell(stream.picture.refresh(*answer))


class _Watch:
    """One open stream: the picture, and where its changes are written."""

    def __init__(
        self, feed: Feed, context: Context, subscription: Subscription, picture: ConferencePicture
    ) -> None:
        self._feed = feed
        self._context = context
        self._subscription = subscription
        self.picture = picture

    async def write(self, response: WatchConferenceResponse, position: int | None = None) -> None:
        """Write a response as of a position, by default the subscription's."""
        place = self._subscription.position if position is None else position
        response.cursor = self._feed.cursor(place)
        await self._context.write(response.SerializeToString())

    async def tell(self, changes: Iterable[Change | None]) -> None:
        """Write changes that no event brought."""
        for change in changes:
            if change is not None:
                await self.write(_update(change, ""))

    async def drain(self, reason: DrainReason.ValueType) -> None:
        """Write the last response."""
        await self.write(WatchConferenceResponse(drain=Drain(reason=reason)))

    async def forward(self, timeout: float) -> bool:
        """Write the changes of one delivery, or a heartbeat; false if the server drains."""
        delivery = await self._subscription.next(timeout)
        if delivery.loss is not None:
            raise loss_error(delivery.loss, self._feed.log)
        if delivery.draining:
            await self.drain(DRAIN_REASON_SHUTDOWN)
            return False
        for entry in delivery.entries:
            event = Event.FromString(event_of(entry.frame))
            for change in self.picture.apply(event):
                await self.write(_update(change, event.id), entry.sequence)
        if delivery.timed_out:
            await self.write(WatchConferenceResponse())
        return True


def _update(change: Change, event_id: str) -> WatchConferenceResponse:
    return WatchConferenceResponse(
        conference=change.conference, participant=change.participant, event_id=event_id
    )
