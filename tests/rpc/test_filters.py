"""Filters that are refused, and what those of all streams may take."""

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1.event_service_pb2 import EventFilter, SubscribeRequest
from gateway.server.services import subscribe
from tests.conftest import StartGateway
from tests.harness.bound import caller, introduced
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.reading import ids, opened
from tests.harness.refusals import listen, refusals_of

Code = grpc.StatusCode


def test_too_many_prefixes_are_named(gateway: RunningGateway) -> None:
    request = SubscribeRequest(filter=EventFilter(types=[f"t{n}.*" for n in range(101)]))

    assert "filter.types" in failure_of(gateway.events.Subscribe, request).violations


def test_a_filter_with_a_great_many_values_is_not_looked_into(gateway: RunningGateway) -> None:
    wanted = EventFilter(conference_ids=[""] * 60_000)

    failure = failure_of(gateway.events.Subscribe, SubscribeRequest(filter=wanted))

    assert failure.code is Code.INVALID_ARGUMENT
    # One word for all of them: naming each took half a second of the event loop.
    assert failure.violations == {
        "filter.conference_ids": "has 60000 values, at most 1000 are allowed"
    }


def test_a_filter_with_long_values_is_refused_with_its_limit(gateway: RunningGateway) -> None:
    wanted = EventFilter(conference_ids=[f"{n:0140}" for n in range(950)])

    failure = failure_of(gateway.events.Subscribe, SubscribeRequest(filter=wanted))

    assert failure.code is Code.INVALID_ARGUMENT
    assert "at most 131072 are allowed" in failure.violations["filter"]


def test_empty_values_are_named_up_to_a_few(gateway: RunningGateway) -> None:
    wanted = EventFilter(queue_names=[""] * 900)

    failure = failure_of(gateway.events.Subscribe, SubscribeRequest(filter=wanted))

    assert set(failure.violations) == {f"filter.queue_names[{n}]" for n in range(10)}


def test_a_request_beyond_what_a_filter_needs_is_refused_unread(gateway: RunningGateway) -> None:
    request = SubscribeRequest(after_cursor="x" * 200_000)

    failure = failure_of(gateway.events.Subscribe, request)

    assert failure.code is Code.INVALID_ARGUMENT
    assert "200" in failure.message
    assert "at most 147456 are allowed" in failure.message


def test_the_filters_of_all_streams_have_a_budget(
    start_gateway: StartGateway,
    loop: LoopThread,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(caplog)
    monkeypatch.setattr(subscribe, "FILTERS_BYTES_MAX", 400_000)
    gateway = start_gateway()
    filters = [
        EventFilter(conference_ids=[f"{stream}-{n}" for n in range(500)]) for stream in range(3)
    ]
    streams = [opened(gateway, filter=it)[0] for it in filters[:2]]

    failure = failure_of(gateway.events.Subscribe, SubscribeRequest(filter=filters[2]))

    assert (failure.code, failure.info.reason) == (Code.RESOURCE_EXHAUSTED, "GATEWAY_OVERLOADED")
    assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 1
    # Streams that are open are kept, small ones still come in.
    sent = gateway.webhooks.event(conference_id="0-7")
    assert ids(list(next(streams[0]).events)) == [sent]
    streams.append(opened(gateway)[0])
    # What a stream held is given back.
    for stream in streams:
        stream.cancel()
    (told,) = refusals_of(gateway, loop, caplog)
    assert told.text.startswith("refused a call: NO_ROOM_FOR_FILTER: ")
    for stream in [opened(gateway, filter=it)[0] for it in filters[1:]]:
        stream.cancel()


def test_what_a_caller_may_see_counts_as_a_part_of_its_filters(
    start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribe, "FILTERS_BYTES_MAX", 400_000)
    gateway = start_gateway()
    many = caller(*(str(number) for number in range(500)))
    called = introduced(gateway).calling(many)

    streams = [gateway.events.Subscribe(SubscribeRequest(), **called) for _ in range(2)]
    for stream in streams:
        next(stream)
    failure = failure_of(gateway.events.Subscribe, SubscribeRequest(), **called)

    assert (failure.code, failure.info.reason) == (Code.RESOURCE_EXHAUSTED, "GATEWAY_OVERLOADED")
    for stream in streams:
        stream.cancel()


def test_all_mistakes_in_a_filter_are_named(gateway: RunningGateway) -> None:
    request = SubscribeRequest(
        filter=EventFilter(types=["a*b", ""], conference_ids=[""], queue_names=["q"] * 1_001)
    )

    failure = failure_of(gateway.events.Subscribe, request)

    assert set(failure.violations) == {
        "filter.types[0]",
        "filter.types[1]",
        "filter.conference_ids[0]",
        "filter.queue_names",
    }
