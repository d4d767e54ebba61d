"""Bindings: what the protos must say, and the requests that come of it."""

import uuid
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from hypothesis import example, given
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2, queue_service_pb2
from conferencing.v1.common_pb2 import AUDIO_FORMAT_MP3, REGION_US
from conferencing.v1.conference_pb2 import CONFERENCE_STATUS_IN_PROGRESS
from gateway.schema.binding import Binding, BindingError, compile_services
from gateway.schema.invalid import InvalidRequestError
from gateway.schema.path import no_segment
from gateway.schema.services import COMMAND_SERVICES
from tests.harness.messages import messages

BINDINGS = {binding.name: binding for binding in compile_services(COMMAND_SERVICES)}


def violations_of(name: str, request: Any) -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        BINDINGS[name].prepare(request)
    return {it.field: it.description for it in caught.value.violations}


def test_a_command_becomes_a_path_and_a_body() -> None:
    call = BINDINGS["StartRecording"].prepare(
        conference_service_pb2.StartRecordingRequest(
            conference_id="c1",
            format=AUDIO_FORMAT_MP3,
            play_beep=False,
            command_id="mine",
            region=REGION_US,
        )
    )

    assert (call.method, call.path) == ("POST", "/conferences/c1/actions/record_start")
    assert call.command_id == "mine"
    assert orjson.loads(call.body or b"") == {
        "format": "mp3",
        "play_beep": False,
        "command_id": "mine",
        "region": "US",
    }


def test_a_command_id_is_made_where_the_provider_takes_one() -> None:
    request = conference_service_pb2.EndConferenceRequest(conference_id="c1")

    first, second = (BINDINGS["EndConference"].prepare(request) for _ in range(2))

    assert uuid.UUID(first.command_id) != uuid.UUID(second.command_id)
    assert orjson.loads(first.body or b"") == {"command_id": first.command_id}


def test_no_command_id_is_made_where_the_provider_takes_none() -> None:
    request = conference_service_pb2.MuteParticipantsRequest(conference_id="c1")

    call = BINDINGS["MuteParticipants"].prepare(request)

    assert call.command_id == ""
    assert call.body == b"{}"


def test_a_query_becomes_a_query_string_in_the_providers_style() -> None:
    request = conference_service_pb2.ListConferencesRequest(page_size=7, region=REGION_US)
    request.filter.caller = "+1 555"
    request.filter.failed = False
    request.filter.status = CONFERENCE_STATUS_IN_PROGRESS
    request.filter.application_name.contains = "a&b"
    request.filter.occurred_at.gte.FromJsonString("2026-01-31T12:00:00Z")

    path = BINDINGS["ListConferences"].prepare(request).path

    assert path == (
        "/conferences?filter%5Bfrom%5D=%2B1+555&filter%5Bapplication_name%5D%5Bcontains%5D=a%26b"
        "&filter%5Bfailed%5D=false&filter%5Boccurred_at%5D%5Bgte%5D=2026-01-31T12%3A00%3A00Z"
        "&filter%5Bstatus%5D=in_progress&region=US&page%5Bsize%5D=7"
    )


def test_all_missing_fields_are_named_at_once() -> None:
    request = conference_service_pb2.UpdateSupervisorRoleRequest()

    assert violations_of("UpdateSupervisorRole", request) == {
        "conference_id": "is required",
        "call_control_id": "is required",
        "supervisor_role": "is required",
    }


def test_a_required_number_may_be_zero() -> None:
    request = queue_service_pb2.UpdateQueueRequest(queue_name="q", max_size=0)

    assert BINDINGS["UpdateQueue"].prepare(request).body == b'{"max_size":0}'
    request.ClearField("max_size")
    assert violations_of("UpdateQueue", request) == {"max_size": "is required"}


@pytest.mark.parametrize("bad", [".", "..", "a\0b", "x" * 16_385, "é" * 3_000])
def test_an_id_that_cannot_be_a_segment_is_refused(bad: str) -> None:
    request = queue_service_pb2.GetQueuedCallRequest(queue_name=bad, call_control_id=bad)

    assert set(violations_of("GetQueuedCall", request)) == {"queue_name", "call_control_id"}


@pytest.mark.parametrize("rpc", ["CreateQueue", "EnqueueCall"])
def test_a_name_that_could_never_be_found_is_not_created(rpc: str) -> None:
    binding = BINDINGS[rpc]
    request: Any = binding.request_class(queue_name="..")
    if rpc == "EnqueueCall":
        request.call_control_id = "v3:a"

    assert set(violations_of(rpc, request)) == {"queue_name"}
    request.queue_name = "../客服"
    assert binding.prepare(request).body is not None


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@example("..")
@example("%2e%2e")
@example("..%2F")
@example("a/../b")
@example("\\")
@example("\0")
@example("Süd")
@example("客服")
def test_an_id_is_refused_or_stays_one_segment_that_means_the_same(text: str) -> None:
    request = queue_service_pb2.GetQueueRequest(queue_name=text)
    if no_segment(text) is not None:
        assert text in (".", "..") or "\0" in text
        assert "queue_name" in violations_of("GetQueue", request)
        return
    path = BINDINGS["GetQueue"].prepare(request).path
    assert path.startswith("/queues/")
    segment = path.removeprefix("/queues/")
    assert segment not in (".", "..")
    assert not set(segment) & set('/?#\\ "<>')
    assert segment.isascii()
    assert segment.isprintable()
    assert unquote(segment) == text


@pytest.mark.parametrize("length", [65_480, 200_000])
def test_a_request_whose_address_cannot_be_written_is_refused_by_its_longest_field(
    length: int,
) -> None:
    request = conference_service_pb2.ListConferencesRequest()
    request.filter.application_name.contains = "short"
    request.filter.caller = "x" * length

    violations = violations_of("ListConferences", request)

    assert set(violations) == {"filter.caller"}
    assert "the maximum is 65000" in violations["filter.caller"]


def test_settings_of_no_engine_are_not_sent() -> None:
    request = conference_service_pb2.SpeakTextRequest(
        conference_id="c1", payload="p", voice="v", command_id="x"
    )
    request.voice_settings.SetInParent()

    body = orjson.loads(BINDINGS["SpeakText"].prepare(request).body or b"")

    assert body == {"payload": "p", "voice": "v", "command_id": "x"}


@pytest.mark.parametrize("binding", BINDINGS.values(), ids=lambda it: it.name)
def test_no_empty_object_is_ever_sent_below_the_top(binding: Binding) -> None:
    request: Any = binding.request_class()
    for field in binding.request_class.DESCRIPTOR.fields:
        if field.type == field.TYPE_MESSAGE and not field.is_repeated:
            getattr(request, field.name).SetInParent()
    problems: list[Any] = []

    assert binding._encoder.encode(request, "", problems) == {}


@pytest.mark.slow
@pytest.mark.parametrize("binding", BINDINGS.values(), ids=lambda it: it.name)
def test_any_request_is_sent_or_refused_with_reasons(binding: Binding) -> None:
    @given(messages(binding.request_class))
    def check(request: Any) -> None:
        try:
            call = binding.prepare(request)
        except InvalidRequestError as error:
            assert error.violations  # noqa: PT017 - either way is right
            return
        assert call.path.count("/") == binding.path.template.count("/") or "?" in call.path
        if call.body is not None:
            assert isinstance(orjson.loads(call.body), dict)

    check()


# Protos that cannot be bound. Each is a service of one method, made by hand.

GOOD = {"post": "/things/{thing_id}", "body": "*"}


def method(
    *,
    http: dict[str, str] | None,
    level: int = 2,
    id_required: bool = True,
    response: tuple[str, ...] = ("receipt",),
    streaming: bool = False,
) -> MethodDescriptor:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"bad_{uuid.uuid4().hex}.proto", package=f"bad_{uuid.uuid4().hex}", syntax="proto3"
    )
    file.dependency.append("conferencing/v1/common.proto")
    request = file.message_type.add(name="DoRequest")
    id_ = request.field.add(name="thing_id", number=1, type=9, label=1)
    if id_required:
        id_.options.Extensions[field_behavior_pb2.field_behavior].append(
            field_behavior_pb2.REQUIRED
        )
    answer = file.message_type.add(name="DoResponse")
    for number, name in enumerate(response, 1):
        answer.field.add(
            name=name,
            number=number,
            type=11,
            label=1,
            type_name=".conferencing.v1.CommandReceipt",
        )
    service = file.service.add(name="BadService")
    rpc = service.method.add(
        name="Do",
        input_type=f".{file.package}.DoRequest",
        output_type=f".{file.package}.DoResponse",
        server_streaming=streaming,
    )
    rpc.options.idempotency_level = level  # type: ignore[assignment]
    if http is not None:
        rule = rpc.options.Extensions[annotations_pb2.http]
        for name, value in http.items():
            setattr(rule, name, value)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    found: MethodDescriptor = pool.FindServiceByName(f"{file.package}.BadService").methods[0]
    return found


def test_a_good_proto_made_by_hand_is_bound() -> None:
    Binding.compile(method(http=GOOD))


@pytest.mark.parametrize(
    ("reason", "bad"),
    [
        ("no google.api.http option", {"http": None}),
        ("names 'other_id'", {"http": {"post": "/things/{other_id}", "body": "*"}}),
        ("not a required string", {"http": GOOD, "id_required": False}),
        ("does not begin with a slash", {"http": {"post": "things", "body": "*"}}),
        ("more than plain", {"http": {"post": "/{thing_id=**}", "body": "*"}}),
        ("uses a field twice", {"http": {"post": "/{thing_id}/{thing_id}", "body": "*"}}),
        ("takes body", {"http": {"post": "/{thing_id}"}}),
        ("takes body", {"http": {"delete": "/{thing_id}", "body": "*"}}),
        ("requires another idempotency level", {"http": {"get": "/{thing_id}"}}),
        ("only unary", {"http": GOOD, "streaming": True}),
        ("a command has a receipt", {"http": GOOD, "response": ("x",)}),
        ("2 fields for one", {"http": GOOD, "response": ("receipt", "x", "y")}),
    ],
)
def test_a_proto_that_cannot_be_bound_is_named_with_the_reason(reason: str, bad: Any) -> None:
    with pytest.raises(BindingError, match=rf"BadService\.Do: .*{reason}"):
        Binding.compile(method(**bad))
