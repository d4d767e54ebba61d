"""What each method is about, as its descriptors say it, and methods of which nothing says it."""

from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message_factory import GetMessageClass

from conferencing.v1 import conference_service_pb2, queue_service_pb2
from gateway.callers.kinds import Kind, Kinds, MissingKindError
from gateway.callers.scope import Listing, Scope
from gateway.schema.services import COMMAND_SERVICES
from gateway.server.services.bounds import scopes_of
from gateway.upstream.bound import operations_of
from tests.harness.descriptors import pool_of_files
from tests.harness.events import KEYS

KINDS = Kinds(KEYS)
SCOPES = {
    name.rpartition(".")[2]: scope
    for name, scope in scopes_of(operations_of(COMMAND_SERVICES), KINDS).items()
}


@pytest.mark.parametrize("name", SCOPES)
def test_it_is_known_what_each_rpc_is_about(name: str) -> None:
    assert SCOPES[name].is_known


def test_a_request_is_about_what_its_fields_name() -> None:
    join = SCOPES["JoinConference"]
    assert join.conferences == ("conference_id",)
    assert join.calls == ("call_control_id", "whisper_call_control_ids")

    enqueue = SCOPES["EnqueueCall"]
    assert (enqueue.calls, enqueue.queues) == (("call_control_id",), ("queue_name",))


def test_what_follows_in_the_path_is_a_part_of_what_comes_first() -> None:
    queued = SCOPES["RemoveQueuedCall"]

    assert (queued.queues, queued.calls) == (("queue_name",), ())


def test_lists_are_chosen_by_connection_or_by_the_names_of_their_items() -> None:
    conferences, queues = SCOPES["ListConferences"].listing, SCOPES["ListQueues"].listing

    by = ("filter", "connection_id")
    assert conferences == Listing(Kind.CONNECTION, "conferences", "connection_id", by)
    assert queues == Listing(Kind.QUEUE, "queues", "name")


def changed(file: Any, name: str, change: Any) -> type[Any]:
    """Return the class of a message of a file that is changed."""

    def apply(copied: Any) -> None:
        for message in copied.message_type:
            if message.name == name:
                change(message)

    pool = pool_of_files([file], apply)
    return GetMessageClass(pool.FindMessageTypeByName(f"conferencing.v1.{name}"))


def text_field(message: Any, name: str) -> None:
    field = message.field.add()
    field.name, field.json_name, field.number = name, name.replace("_", ""), 900
    field.type, field.label = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.LABEL_OPTIONAL


def without_field(message: Any, name: str) -> None:
    kept = [it for it in message.field if it.name != name]
    del message.field[:]
    message.field.extend(kept)


def compiled(request: type[Any], response: type[Any], *path: str) -> Scope:
    return Scope.compile(request, response, path, KINDS)


def test_a_request_that_names_something_else_is_not_let_through_unnoticed() -> None:
    # A session has several calls, and nothing says whose they are.
    file, name = conference_service_pb2.DESCRIPTOR, "EndConferenceRequest"
    request = changed(file, name, lambda it: text_field(it, "call_session_id"))

    response = conference_service_pb2.EndConferenceResponse
    assert not compiled(request, response, "conference_id").is_known


def test_what_is_named_within_a_message_of_a_request_is_not_let_through_unnoticed() -> None:
    file, name = conference_service_pb2.DESCRIPTOR, "ParticipantFilter"
    plain = conference_service_pb2.ListParticipantsRequest

    def apply(copied: Any) -> None:
        for message in copied.message_type:
            if message.name == name:
                text_field(message, "call_control_id")

    pool = pool_of_files([file], apply)
    request = GetMessageClass(pool.FindMessageTypeByName(plain.DESCRIPTOR.full_name))

    response = conference_service_pb2.ListParticipantsResponse
    assert compiled(plain, response, "conference_id").is_known
    assert not compiled(request, response, "conference_id").is_known


def test_a_path_that_begins_with_something_unknown_is_not_known() -> None:
    request = conference_service_pb2.GetParticipantRequest
    response = conference_service_pb2.GetParticipantResponse

    assert not compiled(request, response, "participant_id", "conference_id").is_known


def test_a_list_of_what_is_not_bound_is_not_known() -> None:
    request = queue_service_pb2.ListQueuesRequest
    response = conference_service_pb2.ListParticipantsResponse

    assert not compiled(request, response).is_known


def test_a_list_of_things_of_connections_needs_a_condition_on_them() -> None:
    file, name = conference_service_pb2.DESCRIPTOR, "ListConferencesRequest"
    request = changed(file, name, lambda it: without_field(it, "filter"))

    assert not compiled(request, conference_service_pb2.ListConferencesResponse).is_known


def test_without_a_key_for_a_kind_nothing_starts() -> None:
    keys = [it for it in KEYS if it.option != "connection"]

    with pytest.raises(MissingKindError, match="connection"):
        Kinds(keys)
