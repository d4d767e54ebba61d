"""What was not found: named only where it is certain."""

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.rpc import error_details_pb2
from hypothesis import example, given
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2, queue_service_pb2
from gateway.details import Resource
from gateway.schema.services import COMMAND_SERVICES
from gateway.upstream.bound import BoundOperation, operations_of
from gateway.upstream.failures.errorbody import ProviderError
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider
from tests.upstream.asked import GET_QUEUE, JOIN, errors

OPERATIONS = {it.name: it for it in operations_of(COMMAND_SERVICES)}
KINDS = {
    "conference_id": "conference",
    "call_control_id": "call",
    "participant_id": "participant",
    "queue_name": "queue",
}
IDS = {"conference": "c1", "call": "v3:a.b", "participant": "p-1", "queue": "support 1"}


def asked(operation: BoundOperation) -> Any:
    """A request that names one thing of each kind that it must."""
    request = operation.binding.request_class()
    for field in operation.binding.request_class.DESCRIPTOR.fields:
        if field.name in KINDS and field.type == FieldDescriptor.TYPE_STRING:
            setattr(request, field.name, IDS[KINDS[field.name]])
    return request


def kinds(operation: BoundOperation) -> set[str]:
    return {
        KINDS[it.name]
        for it in operation.binding.request_class.DESCRIPTOR.fields
        if it.name in KINDS
    }


# Ways to say that one thing is not there, with room for what it is and for where.
SAYINGS = [
    "{it} not found{where}",
    "The {it} was not found{where}.",
    "The requested {it}{where} could not be found",
    "{it}{where} does not exist.",
    "{it}{where} doesn't exist",
    "No such {it}{where}",
    "no {it} found{where}",
    "Could not find {it}{where}.",
    "Unable to locate the {it}{where}",
    "Unknown {it}{where}",
    "{it} no longer exists{where}",
]
WHERE = [
    "",
    " in {other}",
    " in the {other}",
    " of {other}",
    " for {other} {id}",
    " within {other}",
]
ITS_NAME = ["{kind}", "{kind} {id}", '{kind} "{id}"', "{kind} with id {id}"]


@given(st.data())
def test_the_words_name_what_is_missing_by_their_subject_and_not_by_what_they_mention(
    data: Any,
) -> None:
    operation = data.draw(st.sampled_from([*OPERATIONS.values()]))
    kind, other = data.draw(st.permutations(sorted(IDS)))[:2]
    name = data.draw(st.sampled_from(ITS_NAME)).format(kind=kind, id=IDS[kind])
    where = data.draw(st.sampled_from(WHERE)).format(other=other, id=IDS[other])
    words = data.draw(st.sampled_from(SAYINGS)).format(it=name, where=where)
    text = data.draw(st.sampled_from([words, words.lower(), words[0].upper() + words[1:]]))
    title = data.draw(st.sampled_from(["", "Resource not found", "Not Found"]))

    found = operation.missing(asked(operation), ProviderError(title=title, detail=text))

    assert found == (Resource(kind, IDS[kind]) if kind in kinds(operation) else None)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda it: it.name)
@pytest.mark.parametrize(
    "error",
    [
        ProviderError(),
        ProviderError(title="Resource not found"),
        ProviderError(
            title="Resource not found",
            detail="The requested resource or URL could not be found.",
        ),
        ProviderError(detail="Nothing here"),
    ],
)
def test_without_words_on_it_only_the_one_thing_that_a_request_names_is_certain(
    operation: BoundOperation, error: ProviderError
) -> None:
    request = asked(operation)

    found = operation.missing(request, error)

    in_address = {KINDS[name] for name in operation.binding.path.fields}
    if len(kinds(operation)) == 1 and in_address:
        (kind,) = in_address
        assert found == Resource(kind, IDS[kind])
    else:
        assert found is None


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda it: it.name)
def test_what_the_provider_points_at_is_certain_whatever_it_says(operation: BoundOperation) -> None:
    for name in [it for it in operation.binding.path.fields if it in KINDS]:
        error = ProviderError(pointer=f"/{name}", detail="No such thing in the conference or queue")

        found = operation.missing(asked(operation), error)

        assert found == Resource(KINDS[name], IDS[KINDS[name]])


@pytest.mark.parametrize(
    ("rpc", "words"),
    [
        # Two things, or another thing, are the subject.
        ("JoinConference", "Call or conference not found"),
        ("JoinConference", "Call and conference not found"),
        ("JoinConference", "Call not found because the conference does not exist"),
        ("JoinConference", "The conference call was not found"),
        ("GetConference", "Conference region not found"),
        ("GetConference", "Voice profile not found"),
        ("GetQueue", "The queue's owner does not exist"),
        ("MuteParticipants", "Participant is not in this conference"),
        ("GetConference", "Recording not found: see the conference"),
        # It is mentioned only.
        ("JoinConference", "In conference c1, something is not found"),
        ("GetQueuedCall", "The call is not in the queue"),
        ("LeaveQueue", "The call is not in a queue"),
        # It is another one than the request names.
        ("GetConference", "Conference 7777-88 not found"),
        ("GetQueuedCall", "queue v3:a.b not found"),
    ],
)
def test_what_is_not_certain_is_not_said(rpc: str, words: str) -> None:
    operation = OPERATIONS[rpc]

    assert operation.missing(asked(operation), ProviderError(detail=words)) is None


def test_a_fault_elsewhere_in_the_request_does_not_blame_its_address() -> None:
    operation = OPERATIONS["GetConference"]
    error = ProviderError(pointer="/region", detail="not here")

    assert operation.missing(asked(operation), error) is None


def test_of_several_calls_the_words_say_which() -> None:
    operation = OPERATIONS["MuteParticipants"]
    request = operation.binding.request_class(conference_id="c1", call_control_ids=["v3:a", "v3:b"])

    one = ProviderError(pointer="/call_control_ids", detail="Call v3:b not found")
    none = ProviderError(pointer="/call_control_ids", detail="Call not found in conference")

    assert operation.missing(request, one) == Resource("call", "v3:b")
    assert operation.missing(request, none) is None


@pytest.mark.parametrize("queue", ["call", "not", "found", "no such call", "in", "queue", "a"])
def test_a_name_that_is_a_word_of_the_text_does_not_mislead(queue: str) -> None:
    operation = OPERATIONS["GetQueuedCall"]
    request = operation.binding.request_class(queue_name=queue, call_control_id="v3:a")

    found = operation.missing(request, ProviderError(detail="Call not found in queue"))

    assert found == Resource("call", "v3:a")


@given(st.sampled_from([*OPERATIONS]), st.text(max_size=80), st.text(min_size=1, max_size=8))
@example("GetQueuedCall", "queue \ue0000\ue001 not found", "1")
@example("GetQueuedCall", "queue \ue0009\ue001 not found", "\ue0009\ue001")
def test_any_words_are_survived(rpc: str, words: str, value: str) -> None:
    request = asked(OPERATIONS[rpc])
    for name in OPERATIONS[rpc].binding.path.fields:
        setattr(request, name, value)

    found = OPERATIONS[rpc].missing(request, ProviderError(detail=words))

    assert found is None or found.name == value


MUTE = conference_service_pb2.MuteParticipantsRequest(conference_id="c1")
GET_CALL = queue_service_pb2.GetQueuedCallRequest(queue_name="support", call_control_id="v3:a")


@pytest.mark.parametrize(
    ("rpc", "request_", "entry", "resource"),
    [
        ("JoinConference", JOIN, {"source": {"pointer": "/call_control_id"}}, ("call", "v3:a")),
        ("JoinConference", JOIN, {"source": {"pointer": "/id"}}, ("conference", "c1")),
        ("JoinConference", JOIN, {"detail": "Call not found"}, ("call", "v3:a")),
        ("JoinConference", JOIN, {"title": "No such conference"}, ("conference", "c1")),
        ("JoinConference", JOIN, {"detail": "v3:a is not here"}, ("call", "v3:a")),
        ("JoinConference", JOIN, {"detail": "Resource not found"}, None),
        ("JoinConference", JOIN, {"detail": "No such call in the conference"}, ("call", "v3:a")),
        ("MuteParticipants", MUTE, {}, ("conference", "c1")),
        ("GetQueue", GET_QUEUE, {}, ("queue", "support")),
        ("GetQueuedCall", GET_CALL, {}, None),
        ("GetQueuedCall", GET_CALL, {"detail": "No such queue"}, ("queue", "support")),
    ],
)
def test_what_was_not_found_is_what_the_provider_says_or_what_is_certain(
    gateway: RunningGateway,
    provider: RecordingProvider,
    rpc: str,
    request_: Any,
    entry: dict[str, Any],
    resource: tuple[str, str] | None,
) -> None:
    provider.answer = Answer(404, errors({"code": "10005", **entry}))
    stub = gateway.queues if "Queue" in rpc else gateway.conferences

    failure = failure_of(getattr(stub, rpc), request_)

    found = failure.detail(error_details_pb2.ResourceInfo)
    assert (found and (found.resource_type, found.resource_name)) == resource


def test_not_found_says_what_was_not_found(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(404, errors({"code": "10005", "detail": "no such queue"}))

    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE)

    resource = failure.detail(error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("queue", "support")
