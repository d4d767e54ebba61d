"""Searches of a long log: who waits for whom, what a page may cost, and when a search ends."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    EventFilter,
    GetEventRequest,
    GetFeedInfoRequest,
    ListEventsRequest,
    ListEventsResponse,
    SubscribeRequest,
)
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.feed import search
from gateway.feed.search import SEARCH_S
from gateway.feed.window import BYTES_MAX, Window
from gateway.journal.ports import Index
from gateway.journal.reading import Page
from gateway.journal.sqlite import open_log, reader, reads
from gateway.journal.sqlite.schema import open_for_reading
from gateway.journal.sqlite.threads import ReadingThreads
from gateway.server.services import stored_events
from gateway.server.services.stored_events import StoredEvents
from tests.conftest import StartGateway
from tests.harness.calls import HeldWire, call_of
from tests.harness.clock import ManualClock
from tests.harness.events import FORMAT, new_event
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.logs import reader_of
from tests.harness.loop import LoopThread
from tests.harness.reading import listed, pages
from tests.harness.refusals import listen, refusals_of

NOBODY = EventFilter(queue_names=["nobody"])


class Gate:
    """Holds up whoever searches the log; who looks up an event takes too few steps to notice."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        self.reached = threading.Semaphore(0)
        self.steps = 0
        self.holds: Callable[[], bool] = lambda: True

        def watched(path: Path) -> sqlite3.Connection:
            connection = open_for_reading(path)
            connection.set_progress_handler(self._wait, 500)
            return connection

        monkeypatch.setattr(reader, "open_for_reading", watched)

    def _wait(self) -> None:
        self.steps += 1
        if not self._open.is_set() and self.holds():
            self.reached.release()
            self._open.wait(60)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(monkeypatch)
    yield gate
    gate.open()


@pytest.mark.slow
def test_looking_up_an_event_does_not_wait_for_those_who_search(
    gate: Gate, start_gateway: StartGateway, loop: LoopThread
) -> None:
    gateway = start_gateway()
    fill(gateway, loop, 300)
    searches = [
        gateway.events.ListEvents.future(ListEventsRequest(filter=NOBODY), timeout=60)
        for _ in range(8)
    ]
    for _ in range(reader.searchers()):
        gate.reached.acquire(timeout=20)

    # All who search are at work, and more wait for their turn.
    found = gateway.events.GetEvent(GetEventRequest(event_id="held-7"), timeout=20).event

    assert found.sequence == 7
    assert gateway.events.GetFeedInfo(GetFeedInfoRequest(), timeout=20).event_count == 300
    gate.open()
    assert [list(it.result().events) for it in searches] == [[]] * 8


@pytest.mark.slow
def test_catching_up_does_not_wait_for_those_who_search(
    gate: Gate, start_gateway: StartGateway, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only searches are held up: whoever reads in their threads waits with them.
    gate.holds = lambda: threading.current_thread().name in names
    monkeypatch.setattr("gateway.feed.feed.Window", SmallWindow)
    gateway = start_gateway()
    names = {f"event-log-searcher_{n}" for n in range(reader.searchers())}
    fill(gateway, loop, 300)
    searches = [
        gateway.events.ListEvents.future(ListEventsRequest(filter=NOBODY), timeout=60)
        for _ in range(20)
    ]
    for _ in range(reader.searchers()):
        assert gate.reached.acquire(timeout=20)

    request = SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True)
    responses = list(gateway.events.Subscribe(request, timeout=20))

    assert sum(len(it.events) for it in responses) == 300
    assert not any(it.done() for it in searches)
    gate.open()
    assert [list(it.result().events) for it in searches] == [[]] * 20


@pytest.mark.slow
def test_searches_beyond_those_that_may_wait_are_refused_at_once(
    gate: Gate,
    start_gateway: StartGateway,
    loop: LoopThread,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(caplog)
    monkeypatch.setattr(reader, "SEARCHES_WAITING_MAX", 3)
    gateway = start_gateway()
    fill(gateway, loop, 300)
    request = ListEventsRequest(filter=NOBODY)
    searches = [
        gateway.events.ListEvents.future(request, timeout=60) for _ in range(reader.searchers())
    ]
    for _ in searches:
        assert gate.reached.acquire(timeout=20)
    searches += [gateway.events.ListEvents.future(request, timeout=60) for _ in range(3)]
    eventually(loop, lambda: searchers_of(gateway)._turns.waiting == 3)

    failure = failure_of(gateway.events.ListEvents, request)

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (failure.code, failure.info.reason) == (code, "GATEWAY_OVERLOADED")
    assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 1
    # Another connection with few calls takes the place of one of the many.
    with grpc.insecure_channel(
        str(gateway.app.grpc_address), [("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        few = EventServiceStub(channel).ListEvents.future(ListEventsRequest(), timeout=60)
        assert searches[-1].code() is code
        gate.open()
        assert len(few.result().events) == 100
    assert [list(it.result().events) for it in searches[:-1]] == [[]] * (reader.searchers() + 2)
    lines = refusals_of(gateway, loop, caplog)
    text = "refused a call: TOO_MANY_SEARCHES: conferencing.v1.EventService/ListEvents: 3 calls"
    assert [(it.level, it.text.startswith(text)) for it in lines] == [("WARNING", True)] * 2


@pytest.mark.slow
def test_who_leaves_while_queued_is_never_searched_for(
    gate: Gate, start_gateway: StartGateway, loop: LoopThread
) -> None:
    gateway = start_gateway()
    fill(gateway, loop, 300)
    searches = [
        gateway.events.ListEvents.future(ListEventsRequest(filter=NOBODY), timeout=60)
        for _ in range(30)
    ]
    for _ in range(reader.searchers()):
        assert gate.reached.acquire(timeout=20)

    for call in searches:
        call.cancel()
    loop.run(asyncio.wait_for(gateway.app.rules.in_flight.wait_until_idle(), 20))
    steps = gate.steps
    gate.open()
    gateway.stop()

    # Those that were at work were broken off, the others never began.
    assert gate.steps <= steps + 2 * reader.searchers()


@pytest.mark.slow
def test_a_search_looks_at_so_many_events_a_page(
    start_gateway: StartGateway, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "SCAN_MAX", 10)
    monkeypatch.setattr(search, "SEARCHED_MAX", 50)
    gateway = start_gateway()
    fill(gateway, loop, 120)

    assert pages(gateway, filter=NOBODY) == [[], [], []]
    assert pages(gateway, filter=NOBODY, newest_first=True) == [[], [], []]


@pytest.mark.slow
@pytest.mark.parametrize("include_raw", [False, True])
def test_no_more_bytes_are_read_than_a_page_holds(
    start_gateway: StartGateway,
    loop: LoopThread,
    monkeypatch: pytest.MonkeyPatch,
    include_raw: bool,
) -> None:
    monkeypatch.setattr(reads, "READ_BYTES_MAX", 20_000)
    for module in (search, stored_events):
        monkeypatch.setattr(module, "PAGE_BYTES_MAX", 50_000)
    most = 0
    blobs = reads._blobs

    def watched(*arguments: Any) -> tuple[list[tuple[int, bytes]], bool]:
        nonlocal most
        found, cut = blobs(*arguments)
        most = max(most, sum(len(stored) for _, stored in found))
        return found, cut

    monkeypatch.setattr(reads, "_blobs", watched)
    gateway = start_gateway()
    large = {"raw": bytes(9_000)} if include_raw else {"queue_name": "x" * 9_000}
    fill(gateway, loop, 30, **large)

    responses = listed(gateway, page_size=1_000, include_raw=include_raw)

    assert [event.sequence for it in responses for event in it.events] == list(range(1, 31))
    assert max(it.ByteSize() for it in responses) <= 50_000 + 100
    assert most <= 20_000
    # A stream reads as little at a time, and loses nothing by it.
    request = SubscribeRequest(
        position=POSITION_EARLIEST, stop_when_caught_up=True, include_raw=include_raw
    )
    streamed = [it for response in gateway.events.Subscribe(request) for it in response.events]
    assert [it.sequence for it in streamed] == list(range(1, 31))
    assert not include_raw or all(it.raw_json == bytes(9_000) for it in streamed)


def searchers_of(gateway: RunningGateway) -> ReadingThreads:
    return reader_of(gateway.log)._searchers


def eventually(loop: LoopThread, holds: Callable[[], bool]) -> None:
    """Return when something holds in the loop; each look lets it do what is ready."""
    ends_at = time.monotonic() + 20
    while not loop.call(holds):
        assert time.monotonic() < ends_at


class SmallWindow(Window):
    """Holds ten events, so that the others must be read from the log."""

    @classmethod
    async def of(
        cls, index: Index, entries_max: int = 10, bytes_max: int = BYTES_MAX
    ) -> "SmallWindow":
        return cls(index.span.newest, entries_max, bytes_max)


@pytest.mark.slow
def test_a_search_ends_when_its_caller_has_gone(
    gate: Gate, start_gateway: StartGateway, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "SCAN_MAX", 50)
    gateway = start_gateway()
    fill(gateway, loop, 2_000)
    search = gateway.events.ListEvents.future(ListEventsRequest(filter=NOBODY), timeout=60)
    gate.reached.acquire(timeout=20)

    search.cancel()
    loop.run(asyncio.wait_for(gateway.app.rules.in_flight.wait_until_idle(), 20))
    gate.open()
    gateway.stop()  # returns when nobody reads any more

    # The step that it was in was finished, of forty.
    assert gate.steps <= 3


def fill(gateway: RunningGateway, loop: LoopThread, count: int, **fields: Any) -> None:
    async def append() -> None:
        log = gateway.log
        events = [new_event(id_=f"held-{n + 1}", **fields) for n in range(count)]
        await asyncio.gather(*map(log.journal.append, events))

    loop.run(append())


def patient(clock: ManualClock, left_s: float | None) -> HeldWire:
    """A caller who waits for so long from now on."""
    if left_s is None:
        return HeldWire()
    ends_at = clock.now + left_s
    return HeldWire(left_s=lambda: ends_at - clock.now)


def slowed(index: Index, clock: ManualClock) -> Index:
    """Return an index that takes a second for each step of a search."""

    async def page(*arguments: Any, **named: Any) -> Page:
        clock.advance(1.0)
        return await index.page(*arguments, **named)

    slow = SimpleNamespace(
        keys=index.keys, epoch=index.epoch, span=index.span, stretch=index.stretch, page=page
    )
    return cast(Index, slow)


@pytest.mark.slow
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
    monkeypatch.setattr(reads, "SCAN_MAX", 10)
    clock = ManualClock()

    async def search() -> list[tuple[float, list[int]]]:
        log = await open_log(tmp_path / "events.db", FORMAT)
        wanted = {7, 55, 59, 95}
        await asyncio.gather(
            *(log.journal.append(new_event(queue_name=f"{n + 1 in wanted}")) for n in range(100))
        )
        searched = StoredEvents(slowed(log.index, clock), now=clock)
        request = ListEventsRequest(
            filter=EventFilter(queue_names=["True"]), page_size=2, newest_first=newest_first
        )
        pages: list[tuple[float, list[int]]] = []
        while True:
            began = clock.now
            call = call_of(request, patient(clock, left_s))
            page = ListEventsResponse.FromString(await searched.list_events(call))
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
