"""Limits of callers on a real gateway: what is refused, in which words, and whom it concerns."""

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    EventFilter,
    GetFeedInfoRequest,
    ListEventsRequest,
    SubscribeRequest,
    WatchConferenceRequest,
)
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.callers.caller import Caller, Role
from gateway.callers.limits import Limits
from gateway.sandbox import SandboxServer
from gateway.server.services.filters import FILTER_BYTES_MAX
from tests.conftest import StartGateway
from tests.harness.callers import bearer
from tests.harness.calls import PEER, call_of
from tests.harness.gateway import Failure
from tests.harness.limited import Limited
from tests.harness.loop import LoopThread
from tests.harness.refusals import listen, refusals_of

INFO, SUBSCRIBE, LIST = GetFeedInfoRequest(), SubscribeRequest(), ListEventsRequest()

# So slow that no test sees a token come back.
NEVER = 0.01

ROOMY = Limits()

Make = Callable[..., Limited]


@pytest.fixture
def make(loop: LoopThread, start_gateway: StartGateway, tmp_path: Path) -> Make:
    def start(*base_url: str, **limits: Limits) -> Limited:
        started = partial(start_gateway, *base_url)
        return Limited(loop, started, tmp_path / "callers.toml", **limits)

    return start


def limit_of(failure: Failure | None) -> str:
    """The limit that a call has met, empty if it has met none."""
    if failure is None:
        return ""
    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED, failure.message
    assert failure.info.reason == "LIMIT_EXCEEDED"
    return str(failure.info.metadata["limit"])


def test_calls_beyond_the_burst_are_refused_in_words_with_the_time_to_retry(
    make: Make, loop: LoopThread, caplog: pytest.LogCaptureFixture
) -> None:
    listen(caplog)
    limited = make(desk=Limits(calls_per_second=NEVER, burst=5), board=ROOMY)
    events = limited.gateway.events
    found = [limited.call(events.GetFeedInfo, "desk", INFO) for _ in range(8)]

    assert found[:5] == [None] * 5
    for failure in found[5:]:
        assert failure is not None
        assert limit_of(failure) == "calls_per_second"
        assert dict(failure.info.metadata) == {
            "caller": "desk",
            "limit": "calls_per_second",
            "maximum": "0.01",
        }
        retry_s = failure.detail(error_details_pb2.RetryInfo).retry_delay.ToTimedelta()
        assert 50 < retry_s.total_seconds() <= 100
    assert found[5] is not None
    assert found[5].message == (
        "desk may begin 0.01 calls a second: call less often (calls_per_second in the gateway's"
        " callers file)"
    )
    assert limited.call(events.GetFeedInfo, "board", INFO) is None

    lines = refusals_of(limited.gateway, loop, caplog)
    assert [it.level for it in lines] == ["INFO"] * 3
    assert "refused a call: CALLER_CALLS_PER_SECOND: " in lines[0].text
    metric = 'gateway_caller_limited_total{caller="desk",limit="calls_per_second"} 3.0'
    assert metric in limited.gateway.metrics()
    assert limited.gateway.metrics().count("gateway_caller_limited_total{") == 1


def test_limits_hold_over_all_connections_of_a_caller(make: Make) -> None:
    limited = make(desk=Limits(calls_per_second=NEVER, burst=2, streams=1))
    address = str(limited.gateway.app.grpc_address)
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(address, options) for _ in range(3)]
    first, second, third = (EventServiceStub(it) for it in channels)

    stream = limited.open(first.Subscribe, "desk", SUBSCRIBE)
    assert limit_of(limited.open(second.Subscribe, "desk", SUBSCRIBE)) == "streams"
    assert limited.call(second.GetFeedInfo, "desk", INFO) is None
    assert limit_of(limited.call(third.GetFeedInfo, "desk", INFO)) == "calls_per_second"
    stream.cancel()
    for channel in channels:
        channel.close()


def test_a_caller_at_its_streams_may_open_one_when_another_has_ended(make: Make) -> None:
    limited = make(desk=Limits(streams=2), board=ROOMY)
    events = limited.gateway.events
    first, second = (limited.open(events.Subscribe, "desk", SUBSCRIBE) for _ in range(2))
    assert limit_of(limited.open(events.Subscribe, "desk", SUBSCRIBE)) == "streams"
    # Nothing but streams is full, and for nobody else.
    assert limited.call(events.GetFeedInfo, "desk", INFO) is None
    other = limited.open(events.Subscribe, "board", SUBSCRIBE)

    first.cancel()
    limits = limited.gateway.app.rules.limits
    assert limits is not None
    limited.wait_until(lambda: limits.streams("desk") == 1)
    third = limited.open(events.Subscribe, "desk", SUBSCRIBE)
    for stream in (second, third, other):
        assert stream.is_active()
        stream.cancel()


def test_conferences_are_counted_once_each_however_many_streams_watch_them(
    make: Make, simulated: SandboxServer
) -> None:
    limited = make(simulated.base_url, desk=Limits(watched_conferences=1))
    gateway = limited.gateway
    ids = [
        gateway.conferences.CreateConference(
            c.CreateConferenceRequest(call_control_id=f"v3:sandbox-{name}", name=name),
            metadata=bearer("desk"),
        ).conference.id
        for name in ("alice", "bob")
    ]
    watch = gateway.events.WatchConference
    one, two = (WatchConferenceRequest(conference_id=it) for it in ids)
    streams = [limited.open(watch, "desk", one) for _ in range(2)]

    assert limit_of(limited.open(watch, "desk", two)) == "watched_conferences"
    for stream in streams:
        assert stream.is_active()
        stream.cancel()
    limited.wait_until_idle()
    limited.open(watch, "desk", two).cancel()


def test_filters_of_open_streams_share_the_callers_bytes(make: Make) -> None:
    limited = make(desk=Limits(filter_bytes=10_000), board=ROOMY)
    subscribe = limited.gateway.events.Subscribe

    def wanted(count: int) -> SubscribeRequest:
        ids = [f"conference-{number}" for number in range(count)]
        return SubscribeRequest(filter=EventFilter(conference_ids=ids))

    assert limit_of(limited.open(subscribe, "desk", wanted(100))) == "filter_bytes"
    stream = limited.open(subscribe, "desk", wanted(20))
    assert limit_of(limited.open(subscribe, "desk", wanted(20))) == "filter_bytes"
    small = limited.open(subscribe, "desk", SUBSCRIBE)
    other = limited.open(subscribe, "board", wanted(100))
    for it in (stream, small, other):
        assert it.is_active()
        it.cancel()


def test_searches_in_progress_are_counted_and_nothing_else_waits_for_them(
    make: Make, loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = make(desk=Limits(searches=2), board=ROOMY)
    events = limited.gateway.events
    index, let = limited.gateway.log.index, loop.call(asyncio.Event)
    stretch, begun = index.stretch, threading.Semaphore(0)

    async def held(*args: Any) -> Any:
        begun.release()
        await let.wait()
        return await stretch(*args)

    monkeypatch.setattr(index, "stretch", held)
    searches = [
        events.ListEvents.future(LIST, metadata=bearer(it), timeout=20)
        for it in ("desk", "board", "desk")
    ]
    for _ in searches:
        assert begun.acquire(timeout=20)

    assert limit_of(limited.call(events.ListEvents, "desk", LIST)) == "searches"
    assert limited.call(events.GetFeedInfo, "desk", INFO) is None
    loop.call(let.set)
    assert [list(it.result().events) for it in searches] == [list[Event]()] * 3
    assert limited.call(events.ListEvents, "desk", LIST) is None


def test_another_version_of_the_file_fills_no_bucket(make: Make) -> None:
    limited = make(desk=Limits(calls_per_second=NEVER, burst=3))
    info = limited.gateway.events.GetFeedInfo
    assert [limited.call(info, "desk", INFO) for _ in range(3)] == [None] * 3
    stream_limit = Limits(calls_per_second=NEVER, burst=30, streams=1)
    limited.limit(desk=stream_limit, board=ROOMY)

    assert limit_of(limited.call(info, "desk", INFO)) == "calls_per_second"
    assert limited.call(info, "board", INFO) is None


def test_a_caller_beyond_its_limit_takes_no_turns_from_another(make: Make) -> None:
    """Both ask as fast as they get answers; what each gets is compared by counts.

    They open streams that end at once and need nothing but their turn: a call that waits for the
    event log would be compared with the disk.
    """
    burst = 20
    limited = make(flood=Limits(calls_per_second=NEVER, burst=burst), honest=ROOMY)
    address = str(limited.gateway.app.grpc_address)
    ends: dict[str, Counter[str]] = {"flood": Counter(), "honest": Counter()}
    enough, request = threading.Event(), SubscribeRequest(stop_when_caught_up=True)

    def ended(stream: Any) -> str:
        try:
            list(stream)
        except grpc.RpcError as error:
            return limit_of(Failure(error))
        return "OK"

    def ask(caller: str) -> None:
        with grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            subscribe = EventServiceStub(channel).Subscribe
            while not enough.is_set():
                ends[caller][ended(subscribe(request, metadata=bearer(caller), timeout=20))] += 1
                if ends["honest"]["OK"] >= 400:
                    enough.set()

    # Four times as many ask for the one as for the other.
    threads = [threading.Thread(target=ask, args=(it,)) for it in ("honest", *["flood"] * 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert ends["honest"].keys() == {"OK"}
    assert ends["flood"]["OK"] == burst
    refused = ends["flood"]["calls_per_second"]
    # A fair share is a quarter of what the others ask for. A third of that is enough here: their
    # refusals are less work than a stream.
    assert ends["honest"]["OK"] >= refused / 4 / 3
    assert refused > burst


@pytest.mark.slow
def test_refused_requests_of_any_size_are_no_flood_of_their_connection(make: Make) -> None:
    """The connection may be a proxy's, with other callers on it.

    It is looked at twice a second, while these come for longer than that, and held when some 70 of
    them are unexplained.
    """
    limited = make(desk=Limits(streams=1), board=ROOMY)
    events = limited.gateway.events
    stream = limited.open(events.Subscribe, "desk", SUBSCRIBE)
    ids = [f"{number:0120}" for number in range(1_000)]
    large = SubscribeRequest(filter=EventFilter(conference_ids=ids))
    assert 100_000 < large.ByteSize() <= FILTER_BYTES_MAX

    for _ in range(900):
        assert limit_of(limited.open(events.Subscribe, "desk", large)) == "streams"

    assert limited.call(events.GetFeedInfo, "board", INFO) is None
    assert stream.is_active()
    stream.cancel()


def test_without_a_callers_file_no_limit_of_a_caller_holds(start_gateway: StartGateway) -> None:
    gateway = start_gateway()

    assert gateway.app.rules.limits is None
    for _ in range(Limits().burst // 10):
        gateway.events.GetFeedInfo(INFO, timeout=20)


def test_nothing_is_kept_of_callers_that_have_gone(
    make: Make, loop: LoopThread, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    limited = make(desk=Limits(streams=3))
    events = limited.gateway.events
    limits = limited.gateway.app.rules.limits
    assert limits is not None
    streams = [limited.open(events.Subscribe, "desk", SUBSCRIBE) for _ in range(3)]
    limited.open(events.Subscribe, "desk", SUBSCRIBE)
    for stream in streams:
        stream.cancel()
    limited.wait_until_idle()

    loop.call(limits.forget_idle)
    assert limits.streams("desk") == 0
    assert len(limits) == 0
    assert not [it for it in caplog.records if it.levelno >= logging.ERROR]


def test_a_call_counts_for_its_caller_or_where_there_is_no_name_for_its_connection() -> None:
    call = call_of(INFO)
    assert call.account == PEER

    call.caller = Caller("desk", Role.READER)
    assert call.account == "desk"
