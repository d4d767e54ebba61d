"""Whether a command has run: done, unknown, or neither, as its caller is told."""

import socket
from typing import Any

import pytest

from conferencing.v1 import conference_service_pb2
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider
from tests.upstream.asked import CREATE, DELETE_QUEUE, GET_QUEUE, JOIN, PLAY, Code, errors


@pytest.mark.parametrize("result", [b'"\\ud83d"', b"NaN", b"{}", b"7"])
def test_an_odd_word_on_a_command_costs_nothing(
    gateway: RunningGateway, provider: RecordingProvider, result: bytes
) -> None:
    provider.answer = Answer(200, b'{"data": {"result": %s}}' % result)

    assert gateway.conferences.PlayAudio(PLAY).HasField("receipt")


@pytest.mark.slow
@pytest.mark.parametrize("answer", [Answer(500, errors()), lambda request: None])
def test_what_may_have_run_is_unknown_where_a_repeat_would_be_heard(
    gateway: RunningGateway, provider: RecordingProvider, answer: Any
) -> None:
    provider.answer = answer

    heard = failure_of(gateway.conferences.PlayAudio, PLAY)
    harmless = failure_of(gateway.conferences.JoinConference, JOIN)

    assert (heard.code, heard.info.reason) == (Code.UNKNOWN, "OUTCOME_UNKNOWN")
    assert heard.info.metadata["outcome"] == "unknown"
    assert (harmless.code, harmless.info.reason) == (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")


@pytest.mark.slow
def test_what_never_left_is_unavailable_even_where_a_repeat_would_be_heard(
    start_gateway: StartGateway,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nobody listens here
        gateway = start_gateway(f"http://127.0.0.1:{closed.getsockname()[1]}")

        failure = failure_of(gateway.conferences.PlayAudio, PLAY)

    assert (failure.code, failure.info.reason) == (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
    assert "outcome" not in failure.info.metadata


# What is no answer of the provider to a command, though the status says success.
NO_ANSWERS: list[Any] = [
    b"<html>hello</html>",
    b"  <?xml version='1.0'?><ok/>",
    b"",
    b"[]",
    b"null",
    b'"ok"',
    b"OK",
    b"\xff\xfe",
    b'{"data": {"id": "c1"}',
    {"status": "healthy"},
    errors({"code": "10007", "title": "Unexpected error"}),
    {"data": None, **errors({"code": "10007", "title": "Unexpected error"})},
    {"errors": {"detail": "Not Acceptable"}},
]


@pytest.mark.slow
@pytest.mark.parametrize("body", NO_ANSWERS)
def test_whether_a_command_ran_is_unknown_if_something_else_answers(
    gateway: RunningGateway, provider: RecordingProvider, body: Any
) -> None:
    provider.answer = Answer(200, body)
    made_here, by_the_caller = CREATE, conference_service_pb2.CreateConferenceRequest()
    by_the_caller.CopyFrom(CREATE)
    by_the_caller.command_id = "mine"

    for request in (made_here, by_the_caller):
        failure = failure_of(gateway.conferences.CreateConference, request)
        harmless = request is by_the_caller
        assert (failure.code, failure.info.reason) == (
            (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
            if harmless
            else (Code.UNKNOWN, "OUTCOME_UNKNOWN")
        )
        assert failure.info.metadata["outcome"] == "unknown"
        assert failure.info.metadata["command_id"]
        assert "instead of the provider's response" in failure.message
    heard = failure_of(gateway.conferences.PlayAudio, PLAY)
    assert (heard.code, heard.info.metadata["outcome"]) == (Code.UNKNOWN, "unknown")


@pytest.mark.slow
@pytest.mark.parametrize("body", NO_ANSWERS[:10])
def test_a_query_that_something_else_answers_may_be_made_again(
    gateway: RunningGateway, provider: RecordingProvider, body: Any
) -> None:
    provider.answer = Answer(200, body)

    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE)

    assert (failure.code, failure.info.reason) == (Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE")
    assert "outcome" not in failure.info.metadata


@pytest.mark.parametrize("body", [b"", b"OK", b'"OK"', b"true", b"null", b"[]", {}, {"data": {}}])
def test_a_deletion_is_done_whatever_word_comes_with_it(
    gateway: RunningGateway, provider: RecordingProvider, body: Any
) -> None:
    provider.answer = Answer(200, body)

    assert gateway.queues.DeleteQueue(DELETE_QUEUE).HasField("receipt")


@pytest.mark.parametrize("body", [b"<html>", errors({"code": "10005", "detail": "no such queue"})])
def test_a_page_or_an_error_is_no_word_on_a_deletion(
    gateway: RunningGateway, provider: RecordingProvider, body: Any
) -> None:
    provider.answer = Answer(200, body)

    failure = failure_of(gateway.queues.DeleteQueue, DELETE_QUEUE)

    assert (failure.code, failure.info.metadata["outcome"]) == (Code.UNAVAILABLE, "unknown")


@pytest.mark.parametrize("data", [[], "c1", 7, True, [{"id": "c1"}]])
def test_a_success_without_the_resource_in_it_is_named(
    gateway: RunningGateway, provider: RecordingProvider, data: Any
) -> None:
    provider.answer = Answer(200, {"data": data})

    failure = failure_of(gateway.conferences.CreateConference, CREATE)

    assert (failure.code, failure.info.reason) == (Code.INTERNAL, "UPSTREAM_UNREADABLE_RESPONSE")
    assert failure.info.metadata["outcome"] == "done"
    assert "data is not an object" in failure.message


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": None, "errors": []}])
def test_a_command_that_is_answered_without_data_has_run(
    gateway: RunningGateway, provider: RecordingProvider, body: Any
) -> None:
    provider.answer = Answer(200, body)

    created = gateway.conferences.CreateConference(CREATE)

    assert created.receipt.command_id
    assert created.receipt.cursor
    assert not created.HasField("conference")
    assert [it.path for it in created.unreadable.values] == ["data"]
    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE)
    assert (failure.code, "data is not an object" in failure.message) == (Code.INTERNAL, True)
