"""The server itself: what every client meets."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import event_service_pb2
from gateway.schema.services import COMMAND_SERVICES
from gateway.server.grpc.shell import Shell
from gateway.server.services.event_service import MissingMethodError, event_methods
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider

SERVICES = [
    "conferencing.v1.ConferenceService",
    "conferencing.v1.EventService",
    "conferencing.v1.QueueService",
]


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_health_is_serving(gateway: RunningGateway, service: str) -> None:
    stub = health_pb2_grpc.HealthStub(gateway.channel)

    answer = stub.Check(health_pb2.HealthCheckRequest(service=service))

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.slow
def test_health_says_not_serving_before_calls_are_cut_off(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    watch = health_pb2_grpc.HealthStub(gateway.channel).Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    with ThreadPoolExecutor(1) as watching:
        # Someone who listens all the time: what a client has not taken up is lost with its
        # connection.
        following = watching.submit(next, watch)

        gateway.stop()

        assert following.result().status == health_pb2.HealthCheckResponse.NOT_SERVING


def test_reflection_lists_the_services(gateway: RunningGateway) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(gateway.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")

    (answer,) = stub.ServerReflectionInfo(iter([request]))

    names = {service.name for service in answer.list_services_response.service}
    assert names >= {*SERVICES, "grpc.health.v1.Health"}


def test_an_unknown_method_is_unimplemented(gateway: RunningGateway) -> None:
    call: Any = gateway.channel.unary_unary("/conferencing.v1.ConferenceService/MakeCoffee")

    assert failure_of(call, b"").code is grpc.StatusCode.UNIMPLEMENTED


def test_a_request_of_two_mebibytes_is_refused(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    request = c.SpeakTextRequest(conference_id="c", payload="x" * 2 * 1024 * 1024, voice="female")

    failure = failure_of(gateway.conferences.SpeakText, request)

    assert failure.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert provider.requests == []


def test_bytes_that_are_no_message_are_refused(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    call: Any = gateway.channel.unary_unary("/conferencing.v1.ConferenceService/EndConference")

    failure = failure_of(call, b"\xff\xff\xff\xff")

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert provider.requests == []


@pytest.mark.parametrize("bad", ["..", ".", "a\x00b"])
def test_an_id_never_becomes_another_path(
    gateway: RunningGateway, provider: RecordingProvider, bad: str
) -> None:
    request = c.GetParticipantRequest(conference_id=bad, participant_id=bad)

    failure = failure_of(gateway.conferences.GetParticipant, request)

    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(failure.violations) == {"conference_id", "participant_id"}
    assert provider.requests == []


@pytest.mark.parametrize("odd", ["a/b", "../..", "a\\b", "a\nb", "ümlaut", "a?b", "%2e%2e"])
def test_any_other_text_is_one_segment(
    gateway: RunningGateway, provider: RecordingProvider, odd: str
) -> None:
    provider.answer = Answer(200, {"data": {"id": "p1"}})
    request = c.GetParticipantRequest(conference_id=odd, participant_id=odd)

    gateway.conferences.GetParticipant(request)

    segments = provider.last.path.removeprefix("/v2/conferences/").split("/")
    assert [unquote(it) for it in segments] == [odd, "participants", odd]


def test_all_missing_fields_are_named_over_the_wire(gateway: RunningGateway) -> None:
    failure = failure_of(gateway.conferences.CreateConference, c.CreateConferenceRequest())

    assert failure.violations == {"call_control_id": "is required", "name": "is required"}
    assert failure.info.reason == "INVALID_REQUEST"


def test_an_unforeseen_failure_tells_nothing_of_its_cause(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(gateway.log.index, "find", broken)

    failure = failure_of(gateway.events.GetEvent, event_service_pb2.GetEventRequest(event_id="x"))

    assert (failure.code, failure.info.reason) == (grpc.StatusCode.INTERNAL, "GATEWAY_FAILURE")
    assert "secret" not in failure.message
    assert "the secret cause" in caplog.text


def test_a_method_that_nobody_answers_stops_the_start() -> None:
    service = event_service_pb2.DESCRIPTOR.services_by_name["EventService"]

    with pytest.raises(MissingMethodError, match=r"EventService\.Subscribe"):
        event_methods(service, (), Shell(()))


@pytest.mark.slow
def test_a_cancelled_command_leaves_no_call_behind(start_gateway: StartGateway) -> None:
    assert len(COMMAND_SERVICES) == 2
    gateway = start_gateway()
    call = gateway.conferences.EndConference.future(c.EndConferenceRequest(conference_id="c"))
    call.cancel()

    gateway.stop()

    assert len(gateway.app.rules.in_flight) == 0
