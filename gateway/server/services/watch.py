"""WatchConference: the whole state of a conference, then each change."""

import math
import random
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_MAX_AGE,
    DRAIN_REASON_SHUTDOWN,
    Drain,
    DrainReason,
    WatchConferenceRequest,
    WatchConferenceResponse,
)
from gateway.conference.conferences import Conferences
from gateway.conference.reader import ConferenceRef
from gateway.conference.watch import Update, Watch
from gateway.server.call import Call
from gateway.server.services.requests import read_heartbeat
from gateway.server.services.stream_times import StreamTimes


class ConferenceGuard(Protocol):
    """Knows which conferences a caller may see."""

    async def admit_to_conference(
        self, call: Call[Any], ref: ConferenceRef, left_s: float | None
    ) -> None:
        """Raise the error of whoever may not see a conference.

        `left_s` is how long the caller waits, in seconds, None meaning for ever.
        """


class WatchStream:
    """Serves WatchConference. `age_max_s` is how long one stream stays open, in seconds.

    `cursors` returns what makes the cursors of the feed as it is now, and `guard` knows which
    conferences a caller may see.
    """

    def __init__(
        self,
        conferences: Conferences,
        cursors: Callable[[], Callable[[int], str]],
        age_max_s: float,
        random_: random.Random,
        guard: ConferenceGuard,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._guard = guard
        self._conferences = conferences
        self._cursors = cursors
        self._age_max_s = age_max_s
        self._random = random_
        self._now = now

    async def watch_conference(self, call: Call[WatchConferenceRequest]) -> None:
        """Write the state, then its changes, until the conference has ended or the caller goes."""
        request = call.message
        given = request.heartbeat_interval if request.HasField("heartbeat_interval") else None
        times = StreamTimes(read_heartbeat(given), self._age_max_s).jittered(self._random)
        ref = ConferenceRef(request.conference_id, request.region)
        call.allowance.watch(ref)
        left_s = call.time_remaining()
        # All watches of a conference share what the provider says of it, so only those may watch
        # it who may see all of that.
        await self._guard.admit_to_conference(call, ref, left_s)
        left_s = call.time_remaining()
        patience_s = math.inf if left_s is None else left_s
        # Those of the log whose events are followed: when there is another one, the watch ends.
        cursor = self._cursors()
        async with self._conferences.watch(ref, call.visible, call.account, patience_s) as watch:
            await self._follow(watch, cursor, times, call)

    async def _follow(
        self,
        watch: Watch,
        cursor: Callable[[int], str],
        times: StreamTimes,
        call: Call[WatchConferenceRequest],
    ) -> None:
        async def write(response: WatchConferenceResponse, position: int) -> float:
            """Write a response as of a position; returns when that was done."""
            response.cursor = cursor(position)
            await call.write(response.SerializeToString())
            return self._now()

        call.when_let_go(watch.let_go)
        await call.prepare()
        snapshot = WatchConferenceResponse(snapshot=watch.snapshot())
        written_at = await write(snapshot, watch.position)
        ends_at = written_at + times.age_max_s
        while not watch.has_ended:
            heartbeat_at = written_at + times.heartbeat_s
            now = self._now()
            if now >= ends_at:
                await write(_drain(DRAIN_REASON_MAX_AGE), watch.position)
                return
            if now >= heartbeat_at:
                written_at = await write(WatchConferenceResponse(), watch.position)
                continue
            for update in await watch.next(min(heartbeat_at, ends_at) - now):
                written_at = await write(_response(update), update.position)
            if watch.draining:
                await write(_drain(DRAIN_REASON_SHUTDOWN), watch.position)
                return


def _response(update: Update) -> WatchConferenceResponse:
    change = update.change
    return WatchConferenceResponse(
        conference=change.conference, participant=change.participant, event_id=update.event_id
    )


def _drain(reason: DrainReason.ValueType) -> WatchConferenceResponse:
    return WatchConferenceResponse(drain=Drain(reason=reason))
