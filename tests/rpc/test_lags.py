"""What clients are told by a gateway whose index is behind the log, and by one that has no such."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conferencing.v1.event_service_pb2 import (
    INDEX_STATE_CURRENT,
    INDEX_STATE_CUT_OFF,
    INDEX_STATE_FILLING,
    POSITION_EARLIEST,
    GetEventRequest,
    GetFeedInfoRequest,
    GetFeedInfoResponse,
    IndexInfo,
    Lag,
    ListEventsRequest,
    SubscribeRequest,
    SubscribeResponse,
)
from gateway.callers.caller import UNNAMED
from gateway.clock import ClockState, Moment
from gateway.feed.feed import Feed
from gateway.feed.window import Window
from gateway.ingest.backfill.report import Report, State
from gateway.journal.errors import LogUnavailableError
from gateway.journal.events import Entry, Framed
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.lag import Lag as Behind
from gateway.journal.ports import EventLog
from gateway.journal.sqlite import open_log
from gateway.server.errors import GatewayError
from gateway.server.services.feed_info import FeedInfo
from gateway.server.services.stored_events import StoredEvents
from gateway.server.services.subscribe import SubscribeStream
from tests.harness.calls import HeldWire, call_of
from tests.harness.copying import HeldAhead, HeldCopying
from tests.harness.events import FORMAT, choosing, new_event
from tests.harness.logs import PLENTY
from tests.oracle.stepped import SteppedLoop, run_stepped

CUT_OFF, FILLING = Behind(0, 3, True), Behind(40, 43, False)


class Stage:
    """A stream of a log with three events, whose index is behind as `copying` says."""

    def __init__(self, loop: SteppedLoop, log: EventLog, window: Window) -> None:
        self._loop, self.log = loop, log
        self.copying = HeldCopying()
        self._serve(Feed(log.index, window, self.copying))
        self.got: list[SubscribeResponse] = []
        self.rest = loop.rest
        # What happens when something was written.
        self.wrote: Callable[[SubscribeResponse], None] = lambda response: None

    def _serve(self, feed: Feed) -> None:
        self.feed = feed
        self._answer = SubscribeStream(feed, 3_600.0, random.Random(0), self._loop.time)

    async def follow(self, log: EventLog) -> None:
        """Serve another log."""
        self._serve(await Feed.of(log))

    async def begin(self, **options: Any) -> "asyncio.Task[None]":
        async def write(response: bytes) -> None:
            self.got.append(SubscribeResponse.FromString(response))
            self.wrote(self.got[-1])

        call = call_of(SubscribeRequest(**options), HeldWire(write))
        running = asyncio.create_task(self._answer.subscribe(call))
        await self.rest()
        return running

    async def heartbeat(self) -> SubscribeResponse:
        """Let the time of a heartbeat come."""
        before = len(self.got)
        self._loop.advance(15.0)
        await self.rest()
        (beat,) = self.got[before:]
        assert not beat.events
        return beat


def staged(folder: Path, story: Callable[[Stage], Awaitable[None]]) -> None:
    async def run(loop: SteppedLoop) -> None:
        log = await open_log(folder / "events.db", FORMAT)
        for _ in range(3):
            await log.journal.append(new_event())
        await story(Stage(loop, log, await Window.of(log.index)))
        await log.close()

    run_stepped(run)


@pytest.mark.parametrize(
    ("behind", "told"),
    [
        (CUT_OFF, Lag(state=INDEX_STATE_CUT_OFF)),
        (FILLING, Lag(state=INDEX_STATE_FILLING, behind_events=40)),
    ],
)
def test_a_stream_is_not_live_while_its_gateway_is_behind(
    tmp_path: Path, behind: Behind, told: Lag
) -> None:
    async def story(stage: Stage) -> None:
        stream = await stage.begin()
        assert (stage.got[0].live, stage.got[0].HasField("lag")) == (True, False)

        stage.copying.lag = behind
        beat = await stage.heartbeat()
        assert (beat.live, beat.lag) == (False, told)
        assert beat.cursor == stage.got[0].cursor

        stage.copying.lag = None
        beat = await stage.heartbeat()
        assert (beat.live, beat.HasField("lag")) == (True, False)
        stream.cancel()

    staged(tmp_path, story)


def test_what_one_stream_was_sent_is_not_sent_to_others_once_the_gateway_is_behind(
    tmp_path: Path,
) -> None:
    async def story(stage: Stage) -> None:
        streams = [await stage.begin() for _ in range(2)]

        def fall_behind(response: SubscribeResponse) -> None:
            if response.events:
                stage.copying.lag = FILLING

        stage.wrote = fall_behind
        await stage.log.journal.append(new_event())
        await stage.rest()

        one, other = [it for it in stage.got if it.events]
        assert (one.live, one.HasField("lag")) == (True, False)
        assert (other.live, other.lag.behind_events) == (False, 40)
        for stream in streams:
            stream.cancel()

    staged(tmp_path, story)


def test_a_bounded_stream_has_what_the_log_had_and_not_what_the_index_had(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.copying.lag = Behind(2, 5, False)
        stream = await stage.begin(position=POSITION_EARLIEST, stop_when_caught_up=True)
        assert not stream.done()

        for _ in range(3):
            await stage.log.journal.append(new_event())
        await stage.rest()

        assert stream.done()
        numbers = [it.sequence for response in stage.got for it in response.events]
        assert numbers[:5] == [1, 2, 3, 4, 5]

    staged(tmp_path, story)


def test_a_bounded_stream_does_not_end_well_that_nobody_knows_the_end_of(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.copying.lag = CUT_OFF
        stream = await stage.begin(position=POSITION_EARLIEST, stop_when_caught_up=True)

        assert stream.done()
        with pytest.raises(LogUnavailableError, match="all events that this gateway has"):
            await stream
        assert sum(len(it.events) for it in stage.got) == 3

    staged(tmp_path, story)


def test_from_now_on_means_from_the_end_of_the_log(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.copying.lag = Behind(2, 5, False)
        stream = await stage.begin()
        for _ in range(3):
            await stage.log.journal.append(new_event())
        await stage.rest()

        assert stage.got[0].cursor == stage.feed.cursor(5)
        assert [it.sequence for response in stage.got for it in response.events] == [6]
        stream.cancel()

    staged(tmp_path, story)


def test_what_may_be_among_the_rest_is_neither_listed_nor_missing(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        held = new_event(id_="held")
        await stage.log.journal.append(held)
        stored = StoredEvents(stage.log.index, lag=lambda: stage.copying.lag)
        missing = call_of(GetEventRequest(event_id="missing"))

        stage.copying.lag = FILLING
        with pytest.raises(LogUnavailableError, match="it has 3 of 43 events"):
            await stored.list_events(call_of(ListEventsRequest()))
        with pytest.raises(LogUnavailableError, match="it has 3 of 43 events"):
            await stored.get_event(missing)
        assert await stored.get_event(call_of(GetEventRequest(event_id="held")))

        # What is stored is read on without a log, but nobody can say what is not in it.
        stage.copying.lag = CUT_OFF
        assert await stored.list_events(call_of(ListEventsRequest()))
        with pytest.raises(LogUnavailableError):
            await stored.get_event(missing)

        stage.copying.lag = None
        with pytest.raises(GatewayError, match="no event with this id"):
            await stored.get_event(missing)

    staged(tmp_path, story)


def test_signed_bytes_come_when_the_index_has_them(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        event = new_event(raw=b"signed")
        frame = b"".join(FORMAT.framing_of(stage.log.index.epoch).frame(4, event.body))
        ahead = HeldAhead(3, lambda number: Entry(Framed(number, frame), event.keys))
        await stage.follow(replace(stage.log, copying=stage.copying, ahead=ahead))
        stage.copying.lag = Behind(0, 3, False)
        stream = await stage.begin(include_raw=True)
        ahead.tell(4)
        await stage.rest()
        beat = await stage.heartbeat()
        assert (beat.live, beat.HasField("lag")) == (False, True)

        await stage.log.journal.append(event)
        await stage.rest()

        (given,) = stage.got[-1].events
        assert (given.sequence, given.raw_json) == (4, b"signed")
        stream.cancel()

    staged(tmp_path, story)


async def told_by(
    stage: Stage, copying: HeldCopying | None, visible: Filter = EVERYTHING
) -> GetFeedInfoResponse:
    report = Report(State.OFF, None)
    moment = Moment(0.0, 0.0, ClockState.UNCONFIRMED, None, 0.0)
    log = replace(stage.log, copying=copying, durability="nothing is lost")
    info = FeedInfo(stage.feed, log, "gw-2", PLENTY, lambda: report, lambda: moment)
    call = call_of(GetFeedInfoRequest())
    call.caller = replace(UNNAMED, visible=visible)
    return GetFeedInfoResponse.FromString(await info.get_feed_info(call))


def test_a_replica_says_who_it_is_and_how_its_index_stands(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        copying = stage.copying
        copying.held, copying.behind = 43, 1

        info = await told_by(stage, copying)
        assert (info.replica, info.durability) == ("gw-2", "nothing is lost")
        assert info.index == IndexInfo(state=INDEX_STATE_CURRENT, behind_events=1, log_events=43)

        copying.behind, copying.lag = 40, FILLING
        info = await told_by(stage, copying)
        assert info.index == IndexInfo(state=INDEX_STATE_FILLING, behind_events=40, log_events=43)

        copying.lag, copying.problem = CUT_OFF, "no connection"
        info = await told_by(stage, copying)
        assert (info.index.state, info.index.error) == (INDEX_STATE_CUT_OFF, "no connection")

        bound = await told_by(stage, copying, choosing(connection_id=["mine"]))
        assert bound.index == IndexInfo(state=INDEX_STATE_CUT_OFF)

    staged(tmp_path, story)


def test_a_log_in_a_file_has_no_index_to_tell_of(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert not (await told_by(stage, None)).HasField("index")

    staged(tmp_path, story)
