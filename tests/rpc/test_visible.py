"""What a caller may see: each handler of the event service hands it on, and none shows more."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetEventRequest,
    GetEventResponse,
    ListEventsRequest,
    ListEventsResponse,
    SubscribeRequest,
    SubscribeResponse,
    WatchConferenceRequest,
)
from gateway.callers.caller import UNNAMED
from gateway.conference.conferences import Conferences
from gateway.feed.feed import Feed
from gateway.journal.filter import EVERYTHING, Filter
from gateway.server.call import Call
from gateway.server.errors import GatewayError
from gateway.server.services.conference_events import FeedEvents
from gateway.server.services.stored_events import StoredEvents
from gateway.server.services.subscribe import SubscribeStream
from gateway.server.services.watch import WatchStream
from tests.harness.calls import HeldWire, call_of
from tests.harness.events import choosing, new_event
from tests.harness.logs import OpenLog
from tests.harness.loop import LoopThread

MINE = choosing(connection_id=["mine"])


class Stage:
    """A log with an event of this caller's, one of another's and one of nobody's."""

    def __init__(self, loop: LoopThread, path: Path) -> None:
        self.log = OpenLog(loop, path)
        self.log.append(
            new_event(id_="mine", connection_id="mine", conference_id="c1"),
            new_event(id_="theirs", connection_id="theirs", conference_id="c1"),
            new_event(id_="nobodys", conference_id="c1"),
        )
        self.feed = loop.call(lambda: Feed(self.log.index))
        self.stored = StoredEvents(self.log.index)
        self.run = loop.run


@pytest.fixture
def stage(loop: LoopThread, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(loop, tmp_path / "events.db")
    yield stage
    stage.log.close()


def called(message: Any, wire: HeldWire | None = None, visible: Filter = MINE) -> Call[Any]:
    call = call_of(message, wire)
    call.caller = replace(UNNAMED, visible=visible)
    return call


def test_without_limits_a_call_sees_everything() -> None:
    assert call_of(ListEventsRequest()).visible == EVERYTHING


def test_a_page_has_only_what_its_caller_may_see(stage: Stage) -> None:
    response = stage.run(stage.stored.list_events(called(ListEventsRequest())))

    assert [it.id for it in ListEventsResponse.FromString(response).events] == ["mine"]


def test_an_event_that_its_caller_may_not_see_does_not_exist(stage: Stage) -> None:
    found = stage.run(stage.stored.get_event(called(GetEventRequest(event_id="mine"))))
    assert GetEventResponse.FromString(found).event.id == "mine"

    for hidden in ("theirs", "nobodys"):
        with pytest.raises(GatewayError) as raised:
            stage.run(stage.stored.get_event(called(GetEventRequest(event_id=hidden))))
        assert raised.value.code.name == "NOT_FOUND"


def test_a_stream_has_only_what_its_caller_may_see(stage: Stage) -> None:
    got: list[Event] = []

    async def write(response: bytes) -> None:
        got.extend(SubscribeResponse.FromString(response).events)

    request = SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True)
    stream = SubscribeStream(stage.feed, 60.0, random.Random(1))
    stage.run(stream.subscribe(called(request, HeldWire(write))))

    assert [it.id for it in got] == ["mine"]


def test_a_conference_is_followed_through_what_its_caller_may_see(stage: Stage) -> None:
    async def follow() -> list[str]:
        with FeedEvents(stage.feed).following("c1", MINE) as events:
            for id_, connection in (("theirs-2", "theirs"), ("mine-2", "mine")):
                event = new_event(id_=id_, connection_id=connection, conference_id="c1")
                await stage.log.journal.append(event)
            return [it.id for it in (await events.next(20)).events]

    assert stage.run(follow()) == ["mine-2"]


class _AskedError(Exception):
    """Ends a watch as soon as it is known what it was opened with."""


class NotingEvents:
    """Notes what may be seen of the conference that is followed."""

    visible: Filter | None = None

    def following(self, conference_id: str, visible: Filter) -> Any:
        self.visible = visible
        raise _AskedError


class Everybody:
    """Lets everybody watch everything."""

    async def admit_to_conference(self, *_: Any) -> None:
        pass


def test_a_watch_is_opened_with_what_its_caller_may_see(loop: LoopThread) -> None:
    events = NotingEvents()
    conferences = loop.call(lambda: Conferences(events, Any, 1.0, 10))  # type: ignore[arg-type]
    stream = WatchStream(conferences, lambda: str, 60.0, random.Random(1), Everybody())

    with pytest.raises(_AskedError):
        loop.run(stream.watch_conference(called(WatchConferenceRequest(conference_id="c1"))))

    assert events.visible == MINE
