"""WatchConference as the handler writes it: heartbeats, ages, cursors, and who asks for what.

The conference is watched over events and a provider made small, in simulated time.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.common_pb2 import REGION_EUROPE
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_MAX_AGE,
    ConferenceState,
    WatchConferenceRequest,
    WatchConferenceResponse,
)
from gateway.conference.conferences import Conferences
from gateway.conference.reader import ConferenceRef
from gateway.conference.watch import Watch
from gateway.journal.filter import Filter
from gateway.server.call import Outflow, Unbounded
from gateway.server.services.watch import WatchStream
from tests.conference.fakes import LoopTime, PlainProvider, PostedEvents
from tests.harness.calls import HeldOutflow, call_of
from tests.harness.virtual_time import run_in_virtual_time, virtual_now

AGE_MAX_S = 100.0
HEARTBEAT_S = 40.0


class NotingConferences(Conferences):
    """Keeps what it was asked to watch, for whom, and how long they wait."""

    asked: tuple[Any, ...] = ()

    def watch(
        self, ref: ConferenceRef, visible: Filter, caller: Hashable, patience_s: float = 0
    ) -> Any:
        self.asked = (ref, caller, patience_s)
        return super().watch(ref, visible, caller, patience_s)


class Caller:
    """A caller of the RPC, as the handler sees it. A response takes `takes_s` to be written."""

    def __init__(self, takes_s: float = 0) -> None:
        self.got: list[WatchConferenceResponse] = []
        # When each response had been written.
        self.got_at: list[float] = []
        self._takes_s = takes_s

    def peer(self) -> str:
        return "ipv4:127.0.0.1:40000"

    def time_remaining(self) -> float | None:
        return 7.0

    def invocation_metadata(self) -> None:
        return None

    def auth_context(self) -> dict[str, list[bytes]]:
        return {}

    async def write(self, response: bytes) -> None:
        await asyncio.sleep(self._takes_s)
        self.got.append(WatchConferenceResponse.FromString(response))
        self.got_at.append(virtual_now())


class Everybody:
    """Lets everybody watch everything."""

    async def admit_to_conference(self, *_: object) -> None:
        pass


class Stage:
    def __init__(self, caller: Caller, seed: int) -> None:
        self.events = PostedEvents()
        provider = PlainProvider()
        provider.takes_s = 0
        self.conferences = NotingConferences(self.events, provider, 10, 100, LoopTime())
        self.caller = caller
        self.outflow: Outflow = Unbounded()
        self.began = virtual_now()
        self._stream = WatchStream(
            self.conferences,
            lambda: lambda at: f"@{at}",
            AGE_MAX_S,
            random.Random(seed),
            Everybody(),
            virtual_now,
        )

    async def watch(self) -> None:
        request = WatchConferenceRequest(
            conference_id="c1",
            region=REGION_EUROPE,
            heartbeat_interval=Duration(seconds=int(HEARTBEAT_S)),
        )
        call = call_of(request, self.caller)
        call.outflow = self.outflow
        await self._stream.watch_conference(call)

    def post(self, *types: str) -> None:
        """Have events of now come in one batch."""
        at = Timestamp(seconds=int(virtual_now()))
        self.events.post(
            *[Event(id=it, type=it, conference_id="c1", occurred_at=at) for it in types]
        )


async def nothing(stage: Stage) -> None:
    pass


def watched(
    caller: Caller, story: Callable[[Stage], Awaitable[None]] = nothing, seed: int = 1
) -> Stage:
    """Run a story beside the handler, until that returns."""

    async def run() -> Stage:
        stage = Stage(caller, seed)
        telling = asyncio.ensure_future(story(stage))
        await stage.watch()
        await telling
        await stage.conferences.close()
        return stage

    return run_in_virtual_time(run())


def test_it_watches_what_the_caller_asks_for_and_as_the_caller() -> None:
    caller = Caller()

    stage = watched(caller)

    ref = ConferenceRef("c1", REGION_EUROPE)
    assert stage.conferences.asked == (ref, caller.peer(), caller.time_remaining())


def test_the_state_is_put_together_only_when_it_may_be_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[bool] = []
    snapshot = Watch.snapshot

    async def run() -> None:
        outflow = HeldOutflow()
        stage = Stage(Caller(), 1)
        stage.outflow = outflow

        def noted(watch: Watch) -> ConferenceState:
            made.append(outflow.lets.is_set())
            return snapshot(watch)

        monkeypatch.setattr(Watch, "snapshot", noted)
        watching = asyncio.ensure_future(stage.watch())
        await asyncio.sleep(HEARTBEAT_S)
        assert (outflow.asked, made) == (1, [])
        outflow.lets.set()
        await watching
        await stage.conferences.close()

    run_in_virtual_time(run())
    assert made == [True]


def test_a_silent_stream_has_heartbeats_and_ends_at_its_age() -> None:
    caller = Caller()

    stage = watched(caller)

    # Both times are shorter by up to a tenth, so that not all streams beat and end together.
    first, *beats, last = [at - stage.began for at in caller.got_at]
    assert 0.9 * AGE_MAX_S <= last - first < AGE_MAX_S
    assert len(beats) == 2
    assert beats[0] - first == pytest.approx(beats[1] - beats[0], abs=1e-3)
    assert 0.9 * HEARTBEAT_S <= beats[0] - first < HEARTBEAT_S
    kinds = [it.WhichOneof("update") for it in caller.got]
    assert kinds == ["snapshot", None, None, None]
    assert [it.drain.reason for it in caller.got] == [0, 0, 0, DRAIN_REASON_MAX_AGE]


def test_streams_opened_together_do_not_end_together() -> None:
    ends = set()
    for seed in range(5):
        caller = Caller()
        watched(caller, seed=seed)
        ends.add(caller.got_at[-1])

    assert len(ends) == 5


def test_a_cursor_is_as_far_as_its_response_and_no_farther() -> None:
    async def story(stage: Stage) -> None:
        await asyncio.sleep(1)
        stage.post("conference.speak.started", "conference.playback.started", "conference.mood")

    caller = Caller()

    watched(caller, story)

    # Both changes come in one batch; who has only seen the first one must not miss the second.
    kinds = [(it.cursor, it.event_id) for it in caller.got[:4]]
    events = [("@1", "conference.speak.started"), ("@2", "conference.playback.started")]
    assert kinds == [("@0", ""), *events, ("@3", "")]


def test_traffic_puts_off_heartbeats_and_no_end() -> None:
    async def story(stage: Stage) -> None:
        while virtual_now() - stage.began < AGE_MAX_S - 20:
            await asyncio.sleep(10)
            stage.post("conference.speak.started", "conference.speak.ended")

    caller = Caller()

    stage = watched(caller, story)

    assert [it.WhichOneof("update") for it in caller.got].count(None) == 1  # the last
    assert caller.got[-1].drain.reason == DRAIN_REASON_MAX_AGE
    assert caller.got_at[-1] - stage.began < AGE_MAX_S


def test_a_slow_reader_has_a_heartbeat_after_what_it_has_read() -> None:
    caller = Caller(takes_s=15)

    watched(caller)

    # From one response that was written to the next that begins to be.
    first, beat, *_ = caller.got_at
    assert 0.9 * HEARTBEAT_S + 15 <= beat - first < HEARTBEAT_S + 15
