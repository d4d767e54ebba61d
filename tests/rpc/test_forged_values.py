"""Whatever a caller writes into tokens, cursors, numbers and times: it is told, and no fault."""

import logging
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conferencing.v1.common_pb2 import TimeRange
from conferencing.v1.event_service_pb2 import (
    EventFilter,
    GetEventRequest,
    GetFeedInfoRequest,
    ListEventsRequest,
    SubscribeRequest,
)
from conferencing.v1.queue_service_pb2 import ListQueuesRequest
from gateway.tokens import TokenKind, arguments_digest, seal
from tests.harness.gateway import RunningGateway

Code = grpc.StatusCode
TOLD = {Code.OK, Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.NOT_FOUND}

uint64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**31, 2**32, 2**63 - 1, 2**63])
int64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1])
int32 = st.integers(-(2**31), 2**31 - 1) | st.sampled_from([-(2**31), 2**31 - 1])
timestamps = st.builds(Timestamp, seconds=int64, nanos=int32)
durations = st.builds(Duration, seconds=int64, nanos=int32)
texts = st.text(max_size=60)
kinds = st.builds(TokenKind, st.sampled_from([b"c", b"l", b"p"]), st.integers(0, 3))
sealed = st.builds(seal, kinds, st.binary(max_size=40))
filters = st.builds(
    EventFilter, types=st.lists(texts, max_size=3), conference_ids=st.lists(texts, max_size=3)
)
times = st.builds(
    TimeRange,
    eq=st.none() | timestamps,
    gt=st.none() | timestamps,
    gte=st.none() | timestamps,
    lt=st.none() | timestamps,
    lte=st.none() | timestamps,
)
many = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def outcome(call: Any, request: Any) -> grpc.StatusCode:
    try:
        result = call(request, timeout=20)
        if hasattr(result, "__next__"):
            list(result)
    except grpc.RpcError as error:
        return error.code()
    return Code.OK


@many
@given(
    size=int32,
    token=texts | sealed,
    number=st.none() | uint64,
    newest_first=st.booleans(),
    received_at=times,
    wanted=filters,
)
def test_a_forged_list_request_is_told_so(
    gateway: RunningGateway,
    caplog: pytest.LogCaptureFixture,
    size: int,
    token: str,
    number: int | None,
    newest_first: bool,
    received_at: TimeRange,
    wanted: EventFilter,
) -> None:
    request = ListEventsRequest(
        filter=wanted, page_size=size, newest_first=newest_first, received_at=received_at
    )
    if number is not None:  # a token that is right in all but its number
        epoch = bytes.fromhex(gateway.events.GetFeedInfo(GetFeedInfoRequest()).epoch)
        place = epoch + number.to_bytes(8)
        token = seal(TokenKind(b"l", 2), place + arguments_digest(request))
    request.page_token = token

    with caplog.at_level(logging.ERROR):
        assert outcome(gateway.events.ListEvents, request) in TOLD
    assert not [it for it in caplog.records if it.exc_info]


@many
@given(
    cursor=texts | sealed,
    number=st.none() | uint64,
    since=st.none() | timestamps,
    position=int32,
    on_gap=int32,
    batch=st.integers(0, 2**32 - 1),
    heartbeat=durations,
    wanted=filters,
    include_raw=st.booleans(),
)
def test_a_forged_subscription_is_told_so(
    gateway: RunningGateway,
    caplog: pytest.LogCaptureFixture,
    cursor: str,
    number: int | None,
    since: Timestamp | None,
    position: int,
    on_gap: int,
    batch: int,
    heartbeat: Duration,
    wanted: EventFilter,
    include_raw: bool,
) -> None:
    request = SubscribeRequest(
        filter=wanted,
        max_batch_events=batch,
        heartbeat_interval=heartbeat,
        stop_when_caught_up=True,
        on_gap=on_gap,  # type: ignore[arg-type]
        include_raw=include_raw,
    )
    if since is not None:
        request.since.CopyFrom(since)
    elif number is not None:
        epoch = bytes.fromhex(gateway.events.GetFeedInfo(GetFeedInfoRequest()).epoch)
        request.after_cursor = seal(TokenKind(b"c", 1), epoch + number.to_bytes(8))
    elif position % 2:
        request.position = position  # type: ignore[assignment]
    else:
        request.after_cursor = cursor

    with caplog.at_level(logging.ERROR):
        assert outcome(gateway.events.Subscribe, request) in TOLD
    assert not [it for it in caplog.records if it.exc_info]


@many
@given(event_id=texts, size=int32, token=texts | sealed, place=st.none() | st.binary(max_size=14))
def test_forged_ids_and_tokens_of_the_providers_lists_are_told_so(
    gateway: RunningGateway,
    caplog: pytest.LogCaptureFixture,
    event_id: str,
    size: int,
    token: str,
    place: bytes | None,
) -> None:
    queues = ListQueuesRequest(page_size=size)
    if place is not None:
        token = seal(TokenKind(b"p", 1), place.rjust(14, b"\0") + arguments_digest(queues))
    queues.page_token = token

    with caplog.at_level(logging.ERROR):
        assert outcome(gateway.events.GetEvent, GetEventRequest(event_id=event_id)) in TOLD
        outcome(gateway.queues.ListQueues, queues)
    # What the provider of this test says to a list is no list; that is no fault of the gateway.
    assert not [it for it in caplog.records if it.exc_info]
