"""Calls and connections that are refused, on a real gateway: each is a line that names its peer."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.event_service_pb2 import (
    EventFilter,
    GetFeedInfoRequest,
    ListEventsRequest,
    SubscribeRequest,
)
from gateway.records.refusals import Subject
from gateway.server.grpc.crowd import Crowd
from gateway.server.hooks import peers
from tests.conftest import StartGateway
from tests.harness.gateway import Failure, RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.refusals import Told, listen, refusals_of


def of_the_client(told: Told) -> bool:
    return told.peer.startswith("ipv4:127.0.0.1:")


def bad_bytes(gateway: RunningGateway) -> None:
    call: Any = gateway.channel.unary_unary("/conferencing.v1.QueueService/GetQueue")
    call(b"\xff\xff", timeout=20)


def no_message(gateway: RunningGateway) -> None:
    call: Any = gateway.channel.stream_unary("/conferencing.v1.QueueService/GetQueue")
    call(iter(()), timeout=20)


MISTAKES: dict[str, tuple[Callable[[RunningGateway], Any], str]] = {
    "a field that is missing": (
        lambda it: it.conferences.CreateConference(c.CreateConferenceRequest()),
        "INVALID_REQUEST: conferencing.v1.ConferenceService/CreateConference: call_control_id: is",
    ),
    "a filter of empty values": (
        lambda it: it.events.ListEvents(
            ListEventsRequest(filter=EventFilter(queue_names=[""] * 900))
        ),
        "INVALID_REQUEST: conferencing.v1.EventService/ListEvents: filter.queue_names[0]: must",
    ),
    "a page token that nobody gave": (
        lambda it: it.events.ListEvents(ListEventsRequest(page_token="forged")),
        "INVALID_REQUEST: conferencing.v1.EventService/ListEvents: page_token: is not a token",
    ),
    "bytes that are no message": (
        bad_bytes,
        "INVALID_REQUEST: conferencing.v1.QueueService/GetQueue: the request's bytes are not",
    ),
    "no message": (
        no_message,
        "NO_MESSAGE: conferencing.v1.QueueService/GetQueue: the request has no message",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_quiet_line(
    gateway: RunningGateway, loop: LoopThread, caplog: pytest.LogCaptureFixture, mistake: str
) -> None:
    listen(caplog)
    call, text = MISTAKES[mistake]

    with pytest.raises(grpc.RpcError) as failure:
        call(gateway)
    assert Failure(failure.value).code is grpc.StatusCode.INVALID_ARGUMENT

    (told,) = refusals_of(gateway, loop, caplog)
    assert told.text.startswith(f"refused a call: {text}")
    assert told.level == "INFO"
    assert of_the_client(told)


@pytest.mark.parametrize(("status", "code"), [(404, "NOT_FOUND"), (422, "INVALID_ARGUMENT")])
def test_what_the_provider_refuses_is_no_line(
    gateway: RunningGateway,
    provider: RecordingProvider,
    loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
    status: int,
    code: str,
) -> None:
    listen(caplog)
    provider.answer = Answer(status, {"errors": [{"title": "Bad"}]})

    failure = failure_of(
        gateway.conferences.GetConference, c.GetConferenceRequest(conference_id="x")
    )

    assert failure.code.name == code
    assert refusals_of(gateway, loop, caplog) == []


@pytest.mark.parametrize(
    ("constant", "kind"),
    [
        ("CALLS_PER_CONNECTION_MAX", "TOO_MANY_CALLS_ON_CONNECTION"),
        ("CALLS_MAX", "TOO_MANY_CALLS"),
    ],
)
def test_too_many_calls_are_a_loud_line(
    start_gateway: StartGateway,
    loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    constant: str,
    kind: str,
) -> None:
    listen(caplog)
    monkeypatch.setattr(peers, constant, 2)
    gateway = start_gateway()
    streams = [gateway.events.Subscribe(SubscribeRequest()) for _ in range(2)]
    for stream in streams:
        next(stream)

    failure_of(gateway.events.GetFeedInfo, GetFeedInfoRequest())
    for stream in streams:
        stream.cancel()

    (told,) = refusals_of(gateway, loop, caplog)
    about = "conferencing.v1.EventService/GetFeedInfo: 2 calls are in progress"
    assert told.text.startswith(f"refused a call: {kind}: {about}")
    assert told.level == "WARNING"
    assert of_the_client(told)
    labels = f'kind="{kind}",subject="call"'
    assert f"gateway_refusals_total{{{labels}}} 1.0" in gateway.metrics()


def test_a_crowd_names_the_address_that_most_come_from_once() -> None:
    crowd = Crowd(limit=4)
    many = [f"ipv4:192.0.2.66:{number}" for number in range(3)]
    other = "ipv6:%5B2001:db8::1%5D:1"

    assert crowd.look(many) is None
    full = crowd.look([other, *many])
    assert crowd.look([other, *many]) is None
    assert crowd.look(many) is None
    again = crowd.look([*many, other, other])

    assert full is not None
    assert again is not None
    assert (full.subject, full.kind) == (Subject.GRPC_CONNECTION, "TOO_MANY_CONNECTIONS")
    assert full.peer == again.peer == "ipv4:192.0.2.66"
    assert full.is_shortage
    assert full.detail.startswith("4 are open (the maximum), 3 of them from one address")
