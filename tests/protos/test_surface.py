"""The protos against the provider: every operation, parameter, enum text, result field and webhook.

What the provider has is read from its official SDK (responses, webhooks) and from the sandbox's
operations, which are made from the SDK.
"""

import re
import typing
from typing import Any, Literal

import pytest
from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from telnyx.types import (
    Conference,
    ConferenceListParticipantsResponse,
    ConferenceParticipant,
    Queue,
)
from telnyx.types.conferences.action_speak_params import ActionSpeakParams
from telnyx.types.queues import QueueCall

from conferencing.v1 import conference_pb2, queue_pb2, voice_settings_pb2
from gateway.sandbox.operations import Operation, load_operations
from gateway.schema.annotations import enum_texts, is_number_or_word, rest_name
from gateway.schema.binding import Binding, compile_services
from gateway.schema.descriptors import enum_type, message_type
from gateway.schema.event_types import payload_fields
from gateway.schema.rest import Safety
from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from tests.conformance.sdk_webhooks import models_by_type
from tests.harness.schemas import Shape, event_types, shape_of_schema

F = FieldDescriptor

BINDINGS = compile_services(COMMAND_SERVICES)
PAYLOADS = payload_fields()
REST = [it for it in load_operations() if not it.id.startswith("webhook_deliveries.")]

# Sets that the provider extends: strings in the protos, whatever the SDK knows of them today.
OPEN_SETS = {"language", "language_boost"}

SERVICES = """
ConferenceService: CreateConference GetConference ListConferences EndConference ListParticipants
GetParticipant UpdateParticipant JoinConference LeaveConference HoldParticipants UnholdParticipants
MuteParticipants UnmuteParticipants PlayAudio StopAudio SpeakText GatherDtmf SendDtmf StartRecording
StopRecording PauseRecording ResumeRecording UpdateSupervisorRole
QueueService: EnqueueCall LeaveQueue CreateQueue GetQueue ListQueues UpdateQueue DeleteQueue
ListQueuedCalls GetQueuedCall UpdateQueuedCall RemoveQueuedCall
EventService: Subscribe ListEvents GetEvent GetFeedInfo WatchConference
"""

KINDS = {
    F.TYPE_STRING: "string",
    F.TYPE_ENUM: "string",
    F.TYPE_INT32: "integer",
    F.TYPE_DOUBLE: "number",
    F.TYPE_BOOL: "boolean",
    F.TYPE_MESSAGE: "object",
}


def operation_of(binding: Binding) -> Any:
    path = re.sub(r"\{\w+\}", "{}", binding.path.template)
    (found,) = [
        it
        for it in REST
        if it.method == binding.http_method and re.sub(r"\{\w+\}", "{}", it.path) == path
    ]
    return found


def kind_of(field: Any) -> str:
    if field.is_repeated:
        assert field.type == F.TYPE_STRING
        return "strings"
    if is_number_or_word(field):
        return "loop"
    if field.type == F.TYPE_MESSAGE and message_type(field).full_name.endswith(".Timestamp"):
        return "string"
    return KINDS[field.type]


def choices_of(field: Any) -> frozenset[str]:
    if field.type != F.TYPE_ENUM:
        return frozenset()
    return frozenset(enum_texts(enum_type(field)).by_text)


def shape_of(descriptor: Any, skip: tuple[str, ...] = (), prefix: str = "") -> Shape:
    shape: Shape = {}
    for field in descriptor.fields:
        if field.name in skip:
            continue
        name = f"{prefix}[{rest_name(field)}]" if prefix else rest_name(field)
        if name in ("page_size", "page_token"):
            name = {"page_size": "page[size]", "page_token": "page[number]"}[name]
            shape[name] = ("integer", False, frozenset())
            continue
        if kind_of(field) == "object" and field.name != "voice_settings":
            shape |= shape_of(message_type(field), (), name)
            continue
        behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        required = field_behavior_pb2.REQUIRED in behaviors
        shape[name] = (kind_of(field), required, choices_of(field))
    return shape


def parameters_of(operation: Operation) -> Shape:
    shape = shape_of_schema(operation.body) | shape_of_schema(operation.query)
    return {
        name: (kind, required, frozenset() if name in OPEN_SETS else texts)
        for name, (kind, required, texts) in shape.items()
    }


def test_the_services_have_the_methods_that_users_rely_on() -> None:
    wanted = {
        name: words.split()
        for name, words in re.findall(r"(\w+): ([^:]+?)(?=\n\w+:|\n$)", SERVICES)
    }

    assert {
        service.name: [method.name for method in service.methods]
        for service in (*COMMAND_SERVICES, EVENT_SERVICE)
    } == wanted


def test_every_operation_of_the_provider_has_one_rpc() -> None:
    ids = [operation_of(binding).id for binding in BINDINGS]

    assert sorted(ids) == sorted(it.id for it in REST)


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda it: it.name)
def test_a_request_has_exactly_the_parameters_of_the_operation(binding: Binding) -> None:
    operation = operation_of(binding)

    shape = shape_of(binding.request_class.DESCRIPTOR, binding.path.fields)

    assert shape == parameters_of(operation)


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda it: it.name)
def test_what_may_be_repeated_is_what_changes_nothing_the_second_time(binding: Binding) -> None:
    heard_twice = {"PlayAudio", "GatherDtmf", "SendDtmf"}
    fails_twice = {"CreateQueue"}

    if binding.http_method == "GET":
        assert binding.safety is Safety.READ
    elif binding.name in heard_twice | fails_twice:
        assert binding.safety is Safety.ONCE
    else:
        assert binding.safety is Safety.IDEMPOTENT


def literals(annotation: Any) -> frozenset[str]:
    """The texts of a Literal anywhere inside a type."""
    if typing.get_origin(annotation) is Literal:
        return frozenset(typing.get_args(annotation))
    return frozenset().union(*map(literals, typing.get_args(annotation)))


def model_inside(annotation: Any) -> Any:
    if isinstance(annotation, type) and hasattr(annotation, "model_fields"):
        return annotation
    return next(filter(None, map(model_inside, typing.get_args(annotation))), None)


def assert_holds(descriptor: Any, models: tuple[Any, ...]) -> None:
    """The message has the fields of the models and no others, with the same enum texts."""
    by_name = {rest_name(field): field for field in descriptor.fields}
    names = {(info.alias or name) for model in models for name, info in model.model_fields.items()}
    assert set(by_name) == names, descriptor.full_name
    for model in models:
        for name, info in model.model_fields.items():
            field = by_name[info.alias or name]
            where = f"{descriptor.full_name}.{field.name}"
            texts = literals(info.annotation)
            inside = model_inside(info.annotation)
            if inside is not None:
                assert_holds(message_type(field), (inside,))
            elif texts and field.name != "record_type":
                # A webhook may know fewer reasons than the resource does.
                assert texts <= choices_of(field), where


def test_resources_have_the_fields_of_the_providers_resources() -> None:
    assert_holds(conference_pb2.Conference.DESCRIPTOR, (Conference,))
    assert_holds(
        conference_pb2.Participant.DESCRIPTOR,
        (ConferenceParticipant, ConferenceListParticipantsResponse),
    )
    assert_holds(queue_pb2.Queue.DESCRIPTOR, (Queue,))
    assert_holds(queue_pb2.QueuedCall.DESCRIPTOR, (QueueCall,))


def test_every_webhook_of_the_provider_has_a_payload() -> None:
    assert set(PAYLOADS) == event_types()


@pytest.mark.parametrize("event_type", sorted(PAYLOADS))
def test_a_payload_has_the_fields_of_the_providers_webhook(event_type: str) -> None:
    model = models_by_type()[event_type]
    assert literals(model.model_fields["event_type"].annotation) == {event_type}
    payload = model_inside(model.model_fields["payload"].annotation)

    assert_holds(message_type(PAYLOADS[event_type]), (payload,))


def test_voice_settings_are_those_of_the_providers_engines() -> None:
    hints = typing.get_type_hints(ActionSpeakParams, include_extras=True)
    engines = {}
    for typed in typing.get_args(hints["voice_settings"]):
        fields = typing.get_type_hints(typed, include_extras=True)
        (tag,) = literals(fields.pop("type"))
        engines[tag] = {
            name: frozenset() if name in OPEN_SETS else literals(hint)
            for name, hint in fields.items()
        }

    oneof = voice_settings_pb2.VoiceSettings.DESCRIPTOR.oneofs_by_name["engine"]
    assert {
        member.name: {it.name: choices_of(it) for it in message_type(member).fields}
        for member in oneof.fields
    } == engines


def test_every_enum_begins_with_not_sent() -> None:
    for binding in BINDINGS:
        descriptor: Any = binding.request_class.DESCRIPTOR
        for field in descriptor.fields:
            if field.type == F.TYPE_ENUM:
                assert enum_type(field).values[0].name.endswith("_UNSPECIFIED")
                assert 0 not in enum_texts(enum_type(field)).by_number
