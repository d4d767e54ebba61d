"""WatchConference: the whole state of a conference, then each change."""

import asyncio
import logging
import math
import random
from collections.abc import Callable, Iterable
from time import monotonic, time

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_MAX_AGE,
    DRAIN_REASON_SHUTDOWN,
    Drain,
    DrainReason,
    WatchConferenceRequest,
    WatchConferenceResponse,
)
from gateway.errors import GatewayError
from gateway.events.feed import Feed, Subscription
from gateway.events.filter import Filter
from gateway.events.frames import event_of
from gateway.events.start import Start, loss_error
from gateway.rpc.calls import Context
from gateway.rpc.conference_reader import Asker, ConferenceRead, ConferenceReader, Place
from gateway.rpc.conference_state import Change, ConferencePicture
from gateway.rpc.fair_queue import Rank
from gateway.rpc.passing import PassedCommand, PassingCommands
from gateway.rpc.requests import read_heartbeat
from gateway.rpc.subscribe import BATCH_DEFAULT, StreamTimes
from gateway.upstream.errors import UpstreamError

# How often the provider is asked while somebody watches, in seconds: nothing else tells of a mute
# or hold that did not pass through this gateway.
REFRESH_INTERVAL_S = 30.0

# How long the first response may wait for its turn to ask the provider, in seconds, if the caller's
# own deadline is not shorter: as long as a call has by default. Who would wait longer is refused at
# once, and can go to another gateway.
FIRST_WAIT_MAX_S = 10.0

# What a caller can do about events that are lost.
_WAY_ON = "watch again: the first response has the whole state"

_log = logging.getLogger(__name__)

# An answer that another watcher got so recently, in seconds, need not be asked for again.
_RECENT_S = REFRESH_INTERVAL_S / 2

# How long an event may have been on its way through the gateway, in seconds. More than that is a
# clock that was set.
_ON_ITS_WAY_MAX_S = 5.0


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
        wanted = Filter.of(self._feed.keys, {"conference_id": [request.conference_id]})
        commands: list[PassedCommand] = []
        # The position and the commands first, the provider's state after them: what happens in
        # between is in both, and taking it in twice changes nothing.
        with (
            self._feed.subscribe(wanted, Start(self._feed.newest), BATCH_DEFAULT) as subscription,
            self._passing.listening(request.conference_id, commands.append),
        ):
            place = Place(request.conference_id, request.region)
            found = await self._reader.read(place, self._now(), _first_asker(context))
            picture = ConferencePicture(found.conference, list(found.participants))
            stream = _Watch(self._feed, context, subscription, picture, self._now)
            await stream.write(WatchConferenceResponse(snapshot=picture.snapshot()))
            with self._passing.listening(
                request.conference_id, lambda command: subscription.interrupt()
            ):
                refresh = _Refresh(self._reader, place, context.peer(), stream.interrupt, self._now)
                await self._follow(stream, refresh, commands, times)

    async def _follow(
        self,
        stream: "_Watch",
        refresh: "_Refresh",
        commands: list[PassedCommand],
        times: StreamTimes,
    ) -> None:
        ends_at = self._now() + times.age_max_s
        try:
            while not stream.picture.has_ended:
                passed = commands.copy()
                commands.clear()
                await stream.tell([stream.picture.learn(it.name, it.request) for it in passed])
                for command in passed:
                    refresh.want(command.passed_at)
                refresh.meet(stream.picture.strangers, stream.heard_at)
                answer = refresh.take()
                if answer is not None:
                    conference, participants = answer.conference, list(answer.participants)
                    await stream.tell(stream.picture.refresh(conference, participants))
                    continue
                now = self._now()
                if now >= ends_at:
                    await stream.drain(DRAIN_REASON_MAX_AGE)
                    return
                heartbeat_at = stream.written_at + times.heartbeat_s
                if now >= heartbeat_at:
                    await stream.write(WatchConferenceResponse())
                    continue
                if not await stream.forward(min(heartbeat_at, ends_at, refresh.due_at) - now):
                    return
        finally:
            refresh.cancel()


class _Refresh:
    """Asks the provider now and then, beside the stream, which must not wait for the answer.

    What has happened is asked about before anything else; asking now and then has to wait for all
    others, and is put off rather than done twice.
    """

    def __init__(
        self,
        reader: ConferenceReader,
        place: Place,
        peer: str,
        ready: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._place = place
        self._flow = (peer, "refresh")
        self._ready = ready
        self._now = now
        self._task: asyncio.Task[ConferenceRead | None] | None = None
        # From when on the provider has to be asked, None if there is no reason to, and how soon.
        self._wanted_since: float | None = None
        self._wanted = Rank.WHENEVER
        self._asking = Rank.WHENEVER
        # Participants whom the provider has been asked about: their events do not tell who joins
        # muted, and those who left again at once would be asked about for ever.
        self._asked: frozenset[str] = frozenset()
        self.due_at = now() + REFRESH_INTERVAL_S

    def want(self, since: float, rank: Rank = Rank.PROMPT) -> None:
        """Have the provider asked for what holds since a moment."""
        self._wanted_since = max(since, self._wanted_since or since)
        self._wanted = min(rank, self._wanted)

    def meet(self, strangers: frozenset[str], since: float) -> None:
        """Have the provider asked about participants of whom events told at a moment."""
        if strangers - self._asked:
            self._asked |= strangers
            self.want(since)

    def take(self) -> ConferenceRead | None:
        """Return the provider's answer if one has come, and ask again if there is reason to."""
        answer = None
        now = self._now()
        if self._task is not None and self._task.done():
            answer, self._task = self._task.result(), None
            self.due_at = now + REFRESH_INTERVAL_S
        if now >= self.due_at:
            self.want(now - _RECENT_S, Rank.WHENEVER)
        if self._wanted_since is not None and self._may_ask():
            self.cancel()
            self._asking = self._wanted
            self._task = asyncio.create_task(self._read(self._wanted_since, self._wanted))
            self._task.add_done_callback(lambda task: self._ready())
            self._wanted_since, self._wanted = None, Rank.WHENEVER
            self.due_at = math.inf
        return answer

    def _may_ask(self) -> bool:
        """Whether a question may begin, or may take the place of one that waits behind all others.

        What happens while one is under way may not be in its answer: it is asked again after it.
        """
        return self._task is None or self._wanted < self._asking

    def cancel(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self, since: float, rank: Rank) -> ConferenceRead | None:
        try:
            return await self._reader.read(self._place, since, Asker(self._flow, rank))
        except (GatewayError, UpstreamError) as error:
            # The events go on; the provider is asked again at the next occasion.
            _log.debug("a watched conference could not be refreshed: %s", error)
            return None


class _Watch:
    """One open stream: the picture, and where its changes are written."""

    def __init__(
        self,
        feed: Feed,
        context: Context,
        subscription: Subscription,
        picture: ConferencePicture,
        now: Callable[[], float],
    ) -> None:
        self._feed = feed
        self._context = context
        self._subscription = subscription
        self._now = now
        self.picture = picture
        self.written_at = now()
        # When the gateway received the newest of the events in the picture.
        self.heard_at = now()

    def interrupt(self) -> None:
        """Have `forward` return."""
        self._subscription.interrupt()

    async def write(self, response: WatchConferenceResponse, position: int | None = None) -> None:
        """Write a response as of a position, by default the subscription's."""
        place = self._subscription.position if position is None else position
        response.cursor = self._feed.cursor(place)
        await self._context.write(response.SerializeToString())
        self.written_at = self._now()

    async def tell(self, changes: Iterable[Change | None]) -> None:
        """Write changes that no event brought."""
        for change in changes:
            if change is not None:
                await self.write(_update(change, ""))

    async def drain(self, reason: DrainReason.ValueType) -> None:
        """Write the last response."""
        await self.write(WatchConferenceResponse(drain=Drain(reason=reason)))

    async def forward(self, timeout: float) -> bool:
        """Write the changes of one delivery, if one comes in time; false if the server drains."""
        delivery = await self._subscription.next(timeout)
        if delivery.loss is not None:
            raise loss_error(delivery.loss, self._feed.log, _WAY_ON)
        if delivery.draining:
            await self.drain(DRAIN_REASON_SHUTDOWN)
            return False
        for stored in delivery.frames:
            event = Event.FromString(event_of(stored.frame))
            self.heard_at = self._now() - _age_s(event)
            for change in self.picture.apply(event):
                await self.write(_update(change, event.id), stored.sequence)
        return True


def _first_asker(context: Context) -> Asker:
    """Return who asks for the first response: flows are connections, until callers have names."""
    left_s = context.time_remaining()
    patience_s = FIRST_WAIT_MAX_S if left_s is None else min(left_s, FIRST_WAIT_MAX_S)
    return Asker((context.peer(), "first"), Rank.PROMPT, patience_s)


def _update(change: Change, event_id: str) -> WatchConferenceResponse:
    return WatchConferenceResponse(
        conference=change.conference, participant=change.participant, event_id=event_id
    )


def _age_s(event: Event) -> float:
    """Return how long ago the gateway received an event, in seconds."""
    age = time() - event.received_at.ToMicroseconds() / 1e6
    return min(max(age, 0.0), _ON_ITS_WAY_MAX_S)
