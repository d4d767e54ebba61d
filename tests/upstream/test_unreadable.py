"""Responses with values that cannot be read: the rest comes, and what is missing is named."""

import json
from typing import Any

import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.schema.services import COMMAND_SERVICES
from gateway.upstream.bound import BoundOperation, operations_of
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider

READING = [
    operation
    for operation in operations_of(COMMAND_SERVICES)
    if "unreadable" in operation.binding.response_class.DESCRIPTOR.fields_by_name
]


def places(response: Any) -> dict[str, str]:
    return {it.path: it.expected for it in response.unreadable.values}


def test_a_value_that_cannot_be_read_costs_a_resource_nothing_else(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    queue = {"id": "q1", "name": "support", "average_wait_time_secs": 12.5, "max_size": "9"}
    provider.answer = Answer(200, {"data": queue})

    found = gateway.queues.GetQueue(q.GetQueueRequest(queue_name="support"))

    assert (found.queue.id, found.queue.name, found.queue.max_size) == ("q1", "support", 9)
    assert found.unreadable.count == 1
    assert places(found) == {
        "data.average_wait_time_secs": "a whole number from -2147483648 to 2147483647"
    }


def test_a_command_whose_resource_has_such_a_value_has_run(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(200, {"data": {"id": "c1", "created_at": "just now"}})

    created = gateway.conferences.CreateConference(
        c.CreateConferenceRequest(call_control_id="v3:a", name="n")
    )

    assert created.conference.id == "c1"
    assert created.receipt.command_id
    assert set(places(created)) == {"data.created_at"}


def test_a_bad_item_costs_a_list_nothing_else(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    items: list[Any] = [{"id": str(number)} for number in range(5)]
    items[1] = {"id": "1", "created_at": 7}
    items[3] = None
    provider.answer = Answer(200, {"data": items, "meta": {"total_pages": 2, "total_results": 9}})

    listed = gateway.queues.ListQueues(q.ListQueuesRequest(page_size=5))

    assert [queue.id for queue in listed.queues] == ["0", "1", "2", "4"]
    assert listed.unreadable.count == 2
    assert places(listed) == {
        "data[1].created_at": "an RFC 3339 timestamp",
        "data[3]": "an object",
    }
    assert listed.next_page_token
    assert listed.total_size == 9


def test_a_part_of_a_page_names_places_on_the_providers_page(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(200, {"data": [{"id": "0"}, {"id": "1"}, "2"]})
    first = gateway.queues.ListQueues(q.ListQueuesRequest(page_size=2))

    rest = gateway.queues.ListQueues(
        q.ListQueuesRequest(page_size=2, page_token=first.next_page_token)
    )

    assert (len(first.queues), len(rest.queues)) == (2, 0)
    assert not first.HasField("unreadable")
    assert set(places(rest)) == {"data[2]"}


def test_many_bad_values_are_counted_and_the_first_ten_named(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(200, {"data": [{"id": {}}] * 25, "meta": {"total_pages": 1}})

    listed = gateway.queues.ListQueues(q.ListQueuesRequest())

    assert len(listed.queues) == 25
    assert listed.unreadable.count == 25
    assert list(places(listed)) == [f"data[{index}].id" for index in range(10)]


@pytest.mark.parametrize("document", [{"data": None, "meta": {}}, {"meta": None}, {}])
def test_a_list_without_data_is_empty_and_says_so(
    gateway: RunningGateway, provider: RecordingProvider, document: Any
) -> None:
    provider.answer = Answer(200, document)

    listed = gateway.queues.ListQueues(q.ListQueuesRequest())

    assert (list(listed.queues), listed.next_page_token) == ([], "")
    assert places(listed) == {"data": "an array"}


def test_what_is_no_list_is_an_error_that_says_so(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(200, {"data": {"id": "q1"}})

    failure = failure_of(gateway.queues.ListQueues, q.ListQueuesRequest())

    assert (failure.code.name, failure.info.reason) == ("INTERNAL", "UPSTREAM_UNREADABLE_RESPONSE")
    assert "data is not an array" in failure.message


def test_what_is_said_of_the_list_is_named_too(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(
        200, {"data": [], "meta": {"total_pages": "many", "total_results": -1}}
    )

    listed = gateway.queues.ListQueues(q.ListQueuesRequest())

    assert set(places(listed)) == {"meta.total_pages", "meta.total_results"}


def test_whatever_has_a_resource_can_say_what_of_it_is_missing() -> None:
    assert len(READING) == 12


@pytest.mark.parametrize("operation", READING, ids=lambda it: it.name)
@pytest.mark.parametrize("raw", ["1e999", "NaN", '"\\ud83d"', "{}", "[[]]", "1" * 400])
def test_no_value_of_any_field_of_any_response_costs_the_rest(
    operation: BoundOperation, raw: str
) -> None:
    """`id` is kept; every other field of the resource holds the odd value."""
    resource: Any = next(
        field
        for field in operation.binding.response_class.DESCRIPTOR.fields
        if field.name not in ("receipt", "next_page_token", "total_size", "unreadable")
    )
    # Fields that the resource has beside `id` or what stands for it.
    kept = resource.message_type.fields[0].name
    odd = [field.name for field in resource.message_type.fields[1:]]
    members = ", ".join([f'"{kept}": "kept"', *(f'"{name}": {raw}' for name in odd)])
    item = f"{{{members}}}"
    body = f'{{"data": {f"[{item}, {item}]" if resource.is_repeated else item}}}'.encode()
    json.loads(body)
    call = operation.prepare(_smallest(operation))

    response: Any = operation.finish(call, body)

    found = getattr(response, resource.name)
    for one in found if resource.is_repeated else [found]:
        assert getattr(one, kept) == "kept"
    assert response.unreadable.count
    operation.binding.response_class.FromString(response.SerializeToString())


def _smallest(operation: BoundOperation) -> Any:
    request = operation.binding.request_class()
    for name, _ in operation.binding._required:
        field = operation.binding.request_class.DESCRIPTOR.fields_by_name[name]
        setattr(request, name, 1 if field.type == field.TYPE_INT32 else "x")
    return request
