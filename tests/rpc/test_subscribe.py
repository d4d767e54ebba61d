"""Streams of events over gRPC: where they begin, what they bring, what is lost loudly."""

import re

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.event_service_pb2 import (
    GAP_POLICY_CONTINUE,
    GAP_REASON_EPOCH_CHANGED,
    POSITION_EARLIEST,
    POSITION_LATEST,
    GetFeedInfoRequest,
    SubscribeRequest,
)
from gateway.journal.cursor import Cursor
from gateway.schema.descriptors import enum_type
from gateway.tokens import TokenKind, seal
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.reading import ids, opened, replay

Code = grpc.StatusCode


def test_the_first_response_opens_the_stream(fresh: RunningGateway) -> None:
    fresh.webhooks.event()

    stream, first = opened(fresh)

    info = fresh.events.GetFeedInfo(GetFeedInfoRequest())
    assert list(first.events) == []
    assert first.cursor == info.newest_cursor
    assert first.live
    assert info.subscribers == 1
    stream.cancel()


def test_new_events_come_as_they_are_received(fresh: RunningGateway) -> None:
    stream, _ = opened(fresh)

    sent = fresh.webhooks.event()
    response = next(stream)

    assert ids(list(response.events)) == [sent]
    assert response.cursor == response.events[0].cursor
    stream.cancel()


def test_a_stream_starts_where_it_is_asked_to(fresh: RunningGateway) -> None:
    sent = [fresh.webhooks.event() for _ in range(3)]
    events = replay(fresh, position=POSITION_EARLIEST)
    assert ids(events) == sent

    assert replay(fresh) == []
    assert replay(fresh, position=POSITION_LATEST) == []
    assert ids(replay(fresh, after_cursor=events[0].cursor)) == sent[1:]
    assert ids(replay(fresh, since=events[1].received_at)) == sent[1:]
    assert replay(fresh, after_cursor=events[2].cursor) == []


def test_a_resumed_stream_misses_and_repeats_nothing(fresh: RunningGateway) -> None:
    stream, _ = opened(fresh)
    got = []
    sent = [fresh.webhooks.event()]
    response = next(stream)
    got += ids(list(response.events))
    stream.cancel()
    sent += [fresh.webhooks.event() for _ in range(5)]

    stream, _ = opened(fresh, after_cursor=response.cursor)
    while len(got) < len(sent):
        got += ids(list(next(stream).events))

    assert got == sent
    stream.cancel()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("filter_", "matching"),
    [
        ({}, "abcd"),
        ({"types": ["call.enqueued"]}, "c"),
        ({"types": ["conference.participant.*"]}, "ab"),
        ({"types": ["conference.*", "call.enqueued"]}, "abcd"),
        ({"types": ["*"]}, "abcd"),
        ({"conference_ids": ["c1"]}, "ad"),
        ({"conference_ids": ["c1", "c2"]}, "abd"),
        ({"queue_names": ["support"]}, "c"),
        ({"call_control_ids": ["v3:x"]}, "ac"),
        ({"call_session_ids": ["s1"]}, "b"),
        ({"connection_ids": ["n1"]}, "d"),
        ({"conference_ids": ["c1"], "call_control_ids": ["v3:x"]}, "a"),
        ({"conference_ids": ["nobody"]}, ""),
    ],
)
def test_a_filter_chooses_live_and_from_the_log(
    fresh: RunningGateway, filter_: dict[str, list[str]], matching: str
) -> None:
    stream, _ = opened(fresh, filter=filter_)
    post = fresh.webhooks.event
    sent = {
        "a": post("conference.participant.joined", conference_id="c1", call_control_id="v3:x"),
        "b": post("conference.participant.left", conference_id="c2", call_session_id="s1"),
        "c": post("call.enqueued", queue="support", call_control_id="v3:x"),
        "d": post("conference.created", conference_id="c1", connection_id="n1"),
    }
    expected = [sent[name] for name in matching]

    assert ids(replay(fresh, filter=filter_, position=POSITION_EARLIEST)) == expected
    live: list[str] = []
    while len(live) < len(expected):
        live += ids(list(next(stream).events))
    assert live == expected
    stream.cancel()


@pytest.mark.slow
def test_a_heartbeat_moves_the_cursor_past_what_does_not_match(fresh: RunningGateway) -> None:
    stream, first = opened(
        fresh, filter={"conference_ids": ["quiet"]}, heartbeat_interval={"seconds": 1}
    )
    fresh.webhooks.event(conference_id="loud")

    heartbeat = next(stream)

    assert list(heartbeat.events) == []
    assert heartbeat.live
    assert heartbeat.cursor == fresh.events.GetFeedInfo(GetFeedInfoRequest()).newest_cursor
    assert heartbeat.cursor != first.cursor
    stream.cancel()


@pytest.mark.slow
def test_batches_have_no_more_events_than_asked_for(fresh: RunningGateway) -> None:
    for _ in range(7):
        fresh.webhooks.event()

    request = SubscribeRequest(
        position=POSITION_EARLIEST, max_batch_events=3, stop_when_caught_up=True
    )
    sizes = [len(response.events) for response in fresh.events.Subscribe(request)]

    assert sizes == [0, 3, 3, 1]


@pytest.mark.slow
def test_a_stream_is_live_when_it_has_caught_up(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    sent = [gateway.webhooks.event() for _ in range(3)]
    gateway.stop()
    again = start_gateway()  # its window is empty: what is old is in the log only

    request = SubscribeRequest(position=POSITION_EARLIEST, max_batch_events=2)
    stream = again.events.Subscribe(request)
    lives = [(len(it.events), it.live) for it in (next(stream), next(stream), next(stream))]

    assert lives == [(0, False), (2, False), (1, True)]
    assert ids(replay(again, position=POSITION_EARLIEST)) == sent
    stream.cancel()


def cursor_of(gateway: RunningGateway, *, epoch: bytes | None = None, sequence: int = 0) -> str:
    own = bytes.fromhex(gateway.events.GetFeedInfo(GetFeedInfoRequest()).epoch)
    return str(Cursor(epoch or own, sequence))


def test_a_cursor_of_another_log_is_refused_with_the_way_on(fresh: RunningGateway) -> None:
    fresh.webhooks.event()
    foreign = cursor_of(fresh, epoch=b"otherlog", sequence=1)

    failure = failure_of(fresh.events.Subscribe, SubscribeRequest(after_cursor=foreign))

    assert (failure.code, failure.info.reason) == (Code.OUT_OF_RANGE, "EPOCH_CHANGED")
    oldest = failure.info.metadata["oldest_cursor"]
    assert len(replay(fresh, after_cursor=oldest)) == 1
    assert replay(fresh, after_cursor=failure.info.metadata["newest_cursor"]) == []
    # What the text advises is there to be used.
    fields = SubscribeRequest.DESCRIPTOR.fields_by_name
    advised = dict(re.findall(r"(\w+) = ([A-Z_]+)", failure.message))
    assert advised == {"position": "POSITION_EARLIEST", "on_gap": "GAP_POLICY_CONTINUE"}
    for field, value in advised.items():
        assert value in enum_type(fields[field]).values_by_name
    assert set(re.findall(r"\w+_cursor", failure.message)) <= set(failure.info.metadata)


def test_a_cursor_ahead_of_the_log_is_refused(fresh: RunningGateway) -> None:
    ahead = cursor_of(fresh, sequence=99)

    failure = failure_of(fresh.events.Subscribe, SubscribeRequest(after_cursor=ahead))

    assert (failure.code, failure.info.reason) == (Code.OUT_OF_RANGE, "CURSOR_AHEAD")


def test_a_cursor_that_a_later_release_gave_is_refused_in_words(fresh: RunningGateway) -> None:
    later = seal(TokenKind(b"c", 2), bytes(16))

    failure = failure_of(fresh.events.Subscribe, SubscribeRequest(after_cursor=later))

    assert (failure.code, failure.info.reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "is a cursor of version 2" in failure.violations["after_cursor"]


def test_a_loss_is_told_in_the_stream_when_asked_for(fresh: RunningGateway) -> None:
    sent = fresh.webhooks.event()
    foreign = cursor_of(fresh, epoch=b"otherlog", sequence=1)

    stream, told = opened(fresh, after_cursor=foreign, on_gap=GAP_POLICY_CONTINUE)
    batch = next(stream)

    assert told.gap.reason == GAP_REASON_EPOCH_CHANGED
    assert (told.gap.from_cursor, told.gap.to_cursor) == (foreign, told.cursor)
    assert ids(list(batch.events)) == [sent]
    stream.cancel()


def test_a_loss_is_told_even_if_nothing_is_left_to_deliver(fresh: RunningGateway) -> None:
    foreign = cursor_of(fresh, epoch=b"otherlog", sequence=1)
    request = SubscribeRequest(
        after_cursor=foreign, on_gap=GAP_POLICY_CONTINUE, stop_when_caught_up=True
    )

    (only,) = fresh.events.Subscribe(request)

    assert only.gap.reason == GAP_REASON_EPOCH_CHANGED


@pytest.mark.slow
def test_a_time_beyond_all_events_is_no_failure(fresh: RunningGateway) -> None:
    sent = fresh.webhooks.event()
    far_past = Timestamp(seconds=-62_135_596_800)
    assert ids(replay(fresh, since=far_past)) == [sent]
    for seconds in (253_402_300_799, 2**62):
        assert replay(fresh, since=Timestamp(seconds=seconds)) == []


@pytest.mark.parametrize("garbage", ["x", "garbage cursor", "Y--VtHx77esBAAAA", "é", "A" * 5_000])
def test_a_garbage_cursor_is_an_invalid_argument(gateway: RunningGateway, garbage: str) -> None:
    failure = failure_of(gateway.events.Subscribe, SubscribeRequest(after_cursor=garbage))

    assert failure.code is Code.INVALID_ARGUMENT
    assert failure.violations == {"after_cursor": "is not a cursor of this gateway"}


def test_raw_bytes_come_with_large_events_in_several_responses(fresh: RunningGateway) -> None:
    for _ in range(6):
        fresh.webhooks.event(conference_id="c", padding="x" * 400_000)
    request = SubscribeRequest(
        position=POSITION_EARLIEST, include_raw=True, stop_when_caught_up=True
    )

    responses = list(fresh.events.Subscribe(request))

    events = [event for response in responses for event in response.events]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5, 6]
    assert all(len(event.raw_json) > 400_000 for event in events)
    assert all(response.ByteSize() < 4 * 1024 * 1024 for response in responses)
