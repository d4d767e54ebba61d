"""WatchConference: the whole state of a conference, then each change."""

import random
from collections.abc import Callable
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
    WatchConferenceRequest,
    WatchConferenceResponse,
)
from gateway.deadline import Deadline
from gateway.events.feed import Feed, Subscription
from gateway.events.filter import Filter
from gateway.events.frames import event_of
from gateway.events.start import Start, loss_error
from gateway.rpc.calls import Context
from gateway.rpc.conference_state import ConferencePicture
from gateway.rpc.requests import read_heartbeat
from gateway.rpc.subscribe import BATCH_DEFAULT, StreamTimes
from gateway.telnyx.binding import Binding
from gateway.telnyx.client import TelnyxClient

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
        age_max_s: float,
        random_: random.Random,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._feed = feed
        self._reader = reader
        self._age_max_s = age_max_s
        self._random = random_
        self._now = now

    async def watch_conference(self, request: WatchConferenceRequest, context: Context) -> None:
        """Write the state, then its changes, until the conference has ended or the caller goes."""
        given = request.heartbeat_interval if request.HasField("heartbeat_interval") else None
        times = StreamTimes(read_heartbeat(given), self._age_max_s).jittered(self._random)
        # The position first, the provider's state after it: what happens in between is in both,
        # and applying it twice changes nothing.
        start = Start(self._feed.newest)
        picture = ConferencePicture(*await self._reader.read(request))
        wanted = Filter(conference_id=frozenset([request.conference_id]))
        ends_at = self._now() + times.age_max_s
        with self._feed.subscribe(wanted, start, BATCH_DEFAULT) as subscription:
            await context.write(
                self._response(start.position, WatchConferenceResponse(snapshot=picture.snapshot()))
            )
            while not picture.has_ended:
                left = ends_at - self._now()
                if left <= 0:
                    drain = Drain(reason=DRAIN_REASON_MAX_AGE)
                    last = WatchConferenceResponse(drain=drain)
                    await context.write(self._response(subscription.position, last))
                    return
                if await self._forward(
                    subscription, picture, min(times.heartbeat_s, left), context
                ):
                    return

    async def _forward(
        self,
        subscription: Subscription,
        picture: ConferencePicture,
        timeout: float,
        context: Context,
    ) -> bool:
        """Write the changes of one delivery, or a heartbeat; tells whether the server drains."""
        delivery = await subscription.next(timeout)
        if delivery.loss is not None:
            raise loss_error(delivery.loss, self._feed.log)
        if delivery.draining:
            last = WatchConferenceResponse(drain=Drain(reason=DRAIN_REASON_SHUTDOWN))
            await context.write(self._response(delivery.position, last))
            return True
        for entry in delivery.entries:
            event = Event.FromString(event_of(entry.frame))
            change = picture.apply(event)
            if change is not None:
                update = WatchConferenceResponse(
                    conference=change.conference, participant=change.participant, event_id=event.id
                )
                await context.write(self._response(entry.sequence, update))
        if not delivery.entries:
            heartbeat = WatchConferenceResponse()
            await context.write(self._response(delivery.position, heartbeat))
        return False

    def _response(self, position: int, response: WatchConferenceResponse) -> bytes:
        response.cursor = self._feed.cursor(position)
        return response.SerializeToString()
