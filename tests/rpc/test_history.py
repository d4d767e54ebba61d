"""Stored events by page and by id, and what the log holds."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1.event_service_pb2 import (
    EventFilter,
    GetEventRequest,
    GetFeedInfoRequest,
    ListEventsRequest,
    ListEventsResponse,
)
from gateway.backfill.report import Report, State
from gateway.clock import Clock
from gateway.events.feed import Feed
from gateway.events.log import Page
from gateway.events.sqlite import SqliteEventLog, reader
from gateway.events.sqlite.schema import open_for_reading
from gateway.events.sqlite.writer import Retention
from gateway.rpc.calls import Context
from gateway.rpc.history import SEARCH_S, History
from gateway.tokens import arguments_digest, seal
from tests.conftest import StartGateway
from tests.harness.clock import ManualClock
from tests.harness.events import new_event
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.webhooks import webhook


def pages(gateway: RunningGateway, **fields: Any) -> list[list[str]]:
    request = ListEventsRequest(**fields)
    found = []
    while True:
        response = gateway.events.ListEvents(request)
        found.append([event.id for event in response.events])
        if not response.next_page_token:
            return found
        request.page_token = response.next_page_token


def test_events_are_listed_in_pages_both_ways(fresh: RunningGateway) -> None:
    sent = [fresh.webhooks.event() for _ in range(5)]

    assert pages(fresh, page_size=2) == [sent[:2], sent[2:4], sent[4:]]
    backwards = sent[::-1]
    assert pages(fresh, page_size=2, newest_first=True) == [
        backwards[:2],
        backwards[2:4],
        backwards[4:],
    ]
    assert pages(fresh) == [sent]
    assert pages(fresh, page_size=5) == [sent]


def test_events_are_listed_by_filter_and_time(fresh: RunningGateway) -> None:
    sent = [fresh.webhooks.event(conference_id=f"c{number % 2}") for number in range(4)]
    events = fresh.events.ListEvents(ListEventsRequest()).events

    assert pages(fresh, filter={"conference_ids": ["c1"]}) == [[sent[1], sent[3]]]
    second = events[1].received_at
    assert pages(fresh, received_at={"eq": second}) == [[sent[1]]]
    assert pages(fresh, received_at={"gt": second}) == [sent[2:]]
    assert pages(fresh, received_at={"lte": second}) == [sent[:2]]
    assert pages(fresh, received_at={"lt": second, "gte": second}) == [[]]


def test_a_page_token_is_bound_to_its_arguments(fresh: RunningGateway) -> None:
    for _ in range(3):
        fresh.webhooks.event()
    token = fresh.events.ListEvents(ListEventsRequest(page_size=1)).next_page_token

    other = ListEventsRequest(page_token=token, newest_first=True)
    assert "page_token" in failure_of(fresh.events.ListEvents, other).violations
    # The size of a page is free to change.
    same = ListEventsRequest(page_token=token, page_size=9)
    assert len(fresh.events.ListEvents(same).events) == 2


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("number", [5, 2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_token_that_nobody_gave_is_an_invalid_argument(
    fresh: RunningGateway, number: int, newest_first: bool
) -> None:
    for _ in range(3):
        fresh.webhooks.event()
    request = ListEventsRequest(newest_first=newest_first)
    request.page_token = seal(b"l", number.to_bytes(8) + arguments_digest(request))

    failure = failure_of(fresh.events.ListEvents, request)

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert failure.violations == {"page_token": "is not a token that a list response gave"}


def test_bad_paging_is_named_all_at_once(gateway: RunningGateway) -> None:
    request = ListEventsRequest(page_size=-1, page_token="x", filter=EventFilter(types=[""]))

    failure = failure_of(gateway.events.ListEvents, request)

    assert set(failure.violations) == {"page_size", "page_token", "filter.types[0]"}


def test_pages_of_large_events_stay_within_what_clients_accept(fresh: RunningGateway) -> None:
    sent = [fresh.webhooks.event(conference_id="c", padding="x" * 400_000) for _ in range(8)]

    found = pages(fresh, include_raw=True)

    assert [id_ for page in found for id_ in page] == sent
    assert len(found) > 1


def test_an_event_is_found_by_its_id(fresh: RunningGateway) -> None:
    fresh.webhooks.event()
    body = webhook(id_="wanted")
    fresh.webhooks.post(body)

    found = fresh.events.GetEvent(GetEventRequest(event_id="wanted", include_raw=True)).event

    assert (found.id, found.sequence, found.raw_json) == ("wanted", 2, body)
    assert not fresh.events.GetEvent(GetEventRequest(event_id="wanted")).event.raw_json


def test_an_event_that_is_not_held_is_not_found(gateway: RunningGateway) -> None:
    failure = failure_of(gateway.events.GetEvent, GetEventRequest(event_id="nobody"))

    assert failure.code is grpc.StatusCode.NOT_FOUND
    resource = failure.detail(error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("event", "nobody")
    missing = failure_of(gateway.events.GetEvent, GetEventRequest())
    assert missing.violations == {"event_id": "is required"}


def test_the_feed_info_tells_how_far_the_log_reaches(fresh: RunningGateway) -> None:
    empty = fresh.events.GetFeedInfo(GetFeedInfoRequest())
    assert (empty.event_count, empty.oldest_sequence, empty.newest_sequence) == (0, 0, 0)
    assert empty.oldest_cursor == empty.newest_cursor
    assert not empty.HasField("oldest_received_at")

    for _ in range(2):
        fresh.webhooks.event()

    info = fresh.events.GetFeedInfo(GetFeedInfoRequest())
    assert (info.event_count, info.oldest_sequence, info.newest_sequence) == (2, 1, 2)
    assert info.oldest_cursor == empty.newest_cursor
    assert info.size_bytes > 0
    assert info.newest_received_at.ToMicroseconds() >= info.oldest_received_at.ToMicroseconds() > 0
    assert (info.retention_age.seconds, info.backend) == (7 * 86_400, "sqlite")


@pytest.mark.parametrize("epoch_bytes", [8])
def test_the_epoch_is_the_logs_identity(fresh: RunningGateway, epoch_bytes: int) -> None:
    epoch = fresh.events.GetFeedInfo(GetFeedInfoRequest()).epoch

    assert len(bytes.fromhex(epoch)) == epoch_bytes


# Long searches

NOBODY = EventFilter(queue_names=["nobody"])


class Gate:
    """Holds up whoever searches the log; who looks up an event takes too few steps to notice."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        self.reached = threading.Semaphore(0)
        self.steps = 0

        def watched(path: Path) -> sqlite3.Connection:
            connection = open_for_reading(path)
            connection.set_progress_handler(self._wait, 500)
            return connection

        monkeypatch.setattr(reader, "open_for_reading", watched)

    def _wait(self) -> None:
        self.steps += 1
        if not self._open.is_set():
            self.reached.release()
            self._open.wait(60)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open()


def test_looking_up_an_event_does_not_wait_for_those_who_search(
    gate: Gate, start_gateway: StartGateway, loop: LoopThread
) -> None:
    gateway = start_gateway()
    fill(gateway, loop, 300)
    searches = [
        gateway.events.ListEvents.future(ListEventsRequest(filter=NOBODY), timeout=60)
        for _ in range(8)
    ]
    for _ in range(reader.SEARCHERS):
        gate.reached.acquire(timeout=20)

    # All who search are at work, and more wait for their turn.
    found = gateway.events.GetEvent(GetEventRequest(event_id="held-7"), timeout=20).event

    assert found.sequence == 7
    assert gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20).event_count == 300
    gate.open()
    assert [list(it.result().events) for it in searches] == [[]] * 8


def test_a_search_ends_when_its_caller_has_gone(
    gate: Gate, start_gateway: StartGateway, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SCAN_MAX", 50)
    gateway = start_gateway()
    fill(gateway, loop, 2_000)
    search = gateway.events.ListEvents.future(ListEventsRequest(filter=NOBODY), timeout=60)
    gate.reached.acquire(timeout=20)

    search.cancel()
    loop.run(asyncio.wait_for(gateway.app._calls.wait_until_idle(), 20))
    gate.open()
    gateway.stop()  # returns when nobody reads any more

    # The step that it was in was finished, of forty.
    assert gate.steps <= 3


def fill(gateway: RunningGateway, loop: LoopThread, count: int) -> None:
    async def append() -> None:
        log = gateway.app._log
        await asyncio.gather(*(log.append(new_event(id_=f"held-{n + 1}")) for n in range(count)))

    loop.run(append())


class Caller:
    """A call's context with so much time left."""

    def __init__(self, clock: ManualClock, left_s: float | None) -> None:
        self._clock = clock
        self._ends_at = None if left_s is None else clock.now + left_s

    def peer(self) -> str:
        return "ipv4:127.0.0.1:9"

    def time_remaining(self) -> float | None:
        return None if self._ends_at is None else self._ends_at - self._clock.now


class SlowLog(SqliteEventLog):
    """Takes a second for each step of a search, and looks at ten events in it."""

    clock: ManualClock

    async def page(self, *arguments: Any, **named: Any) -> Page:
        self.clock.advance(1.0)
        return await super().page(*arguments, **named)


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    ("left_s", "steps"), [(None, SEARCH_S), (60.0, SEARCH_S), (2.0, 1), (0.1, 1)]
)
def test_a_long_search_gives_what_it_has_and_where_to_go_on(
    loop: LoopThread,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    left_s: float | None,
    steps: int,
    newest_first: bool,
) -> None:
    monkeypatch.setattr(reader, "SCAN_MAX", 10)
    clock = ManualClock()

    async def search() -> list[tuple[float, list[int]]]:
        log = await SlowLog.open(tmp_path / "events.db", Retention(1e9, 2**40), clock)
        assert isinstance(log, SlowLog)
        log.clock = clock
        wanted = {7, 55, 59, 95}
        await asyncio.gather(
            *(log.append(new_event(queue_name=f"{n + 1 in wanted}")) for n in range(100))
        )
        history = History(
            Feed(log), lambda: Report(State.OFF, None), Clock(clock, clock).now, now=clock
        )
        request = ListEventsRequest(
            filter=EventFilter(queue_names=["True"]), page_size=2, newest_first=newest_first
        )
        pages: list[tuple[float, list[int]]] = []
        while True:
            began = clock.now
            caller = cast(Context, Caller(clock, left_s))
            page = ListEventsResponse.FromString(await history.list_events(request, caller))
            pages.append((clock.now - began, [event.sequence for event in page.events]))
            if not page.next_page_token:
                await log.close()
                return pages
            request.page_token = page.next_page_token

    pages = loop.run(search())

    assert all(took <= steps for took, _ in pages)
    found = [number for _, numbers in pages for number in numbers]
    assert found == ([95, 59, 55, 7] if newest_first else [7, 55, 59, 95])
    # A page may be empty and yet not the last one.
    assert [] in [numbers for _, numbers in pages[:-1]]
