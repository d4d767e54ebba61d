"""What the provider answers, or that it does not, as a caller of an RPC sees it."""

import json
import socket
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2, queue_service_pb2
from conferencing.v1.common_pb2 import AUDIO_FORMAT_WAV
from gateway.upstream.failures.errorbody import ErrorBody, ProviderError
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider

Code = grpc.StatusCode

JOIN = conference_service_pb2.JoinConferenceRequest(
    conference_id="c1", call_control_id="v3:a", command_id="cmd-1"
)
PLAY = conference_service_pb2.PlayAudioRequest(conference_id="c1", media_name="m")
GET_QUEUE = queue_service_pb2.GetQueueRequest(queue_name="support")


def errors(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"errors": list(entries)}


@pytest.mark.parametrize(
    ("status", "provider_code", "code", "reason"),
    [
        (400, "10015", Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (401, "10009", Code.INTERNAL, "UPSTREAM_CREDENTIALS_REJECTED"),
        (402, "", Code.FAILED_PRECONDITION, "PAYMENT_REQUIRED"),
        (403, "10010", Code.PERMISSION_DENIED, "NOT_AUTHORIZED"),
        (404, "10005", Code.NOT_FOUND, "NOT_FOUND"),
        (408, "", Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        (409, "", Code.ABORTED, "CONFLICT"),
        (410, "", Code.NOT_FOUND, "NOT_FOUND"),
        (412, "", Code.FAILED_PRECONDITION, "INVALID_STATE"),
        (418, "", Code.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS"),
        (422, "10004", Code.INVALID_ARGUMENT, "MISSING_PARAMETER"),
        (422, "10012", Code.ALREADY_EXISTS, "DUPLICATE"),
        (422, "10021", Code.FAILED_PRECONDITION, "IN_USE"),
        (422, "10011", Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
        (422, "10022", Code.INVALID_ARGUMENT, "INVALID_ID"),
        (422, "90015", Code.INVALID_ARGUMENT, "INVALID_ID"),
        (422, "90018", Code.FAILED_PRECONDITION, "INVALID_STATE"),
        (422, "90036", Code.FAILED_PRECONDITION, "INVALID_STATE"),
        (422, "90999", Code.FAILED_PRECONDITION, "INVALID_STATE"),
        (404, "90999", Code.NOT_FOUND, "NOT_FOUND"),
        (422, "99999", Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (429, "10011", Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"),
        (302, "", Code.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS"),
        (500, "10007", Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        (503, "", Code.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
    ],
)
def test_each_answer_has_its_code_and_reason(
    gateway: RunningGateway,
    provider: RecordingProvider,
    status: int,
    provider_code: str,
    code: Code,
    reason: str,
) -> None:
    provider.answer = Answer(
        status, errors({"code": provider_code, "title": "No", "detail": "Why"})
    )

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert (failure.code, failure.info.reason) == (code, reason)
    assert failure.info.domain == "telnyx-grpc-gateway"
    assert failure.info.metadata["http_status"] == str(status)
    assert failure.info.metadata["command_id"] == "cmd-1"
    assert failure.info.metadata.get("provider_code", "") == provider_code
    # Of the key the provider speaks to whoever runs the gateway only.
    assert ("Why" in failure.message) == (status != 401)


def test_pointers_become_the_fields_of_the_proto(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(
        422,
        errors(
            {"code": "10015", "detail": "unknown call", "source": {"pointer": "/call_control_id"}},
            {"code": "10015", "detail": "bad", "source": {"pointer": "/body/mute"}},
            {"code": "10015", "detail": "elsewhere", "source": {"pointer": ""}},
        ),
    )

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert failure.violations == {"call_control_id": "unknown call", "mute": "bad"}


# Codes and statuses of all kinds, each with a field that the provider points at.
POINTED: list[tuple[int, str, Code]] = [
    (422, "90015", Code.INVALID_ARGUMENT),
    (422, "90018", Code.FAILED_PRECONDITION),
    (422, "90999", Code.INVALID_ARGUMENT),
    (422, "10011", Code.INVALID_ARGUMENT),
    (422, "10012", Code.ALREADY_EXISTS),
    (422, "10021", Code.FAILED_PRECONDITION),
    (403, "10010", Code.PERMISSION_DENIED),
    (404, "10005", Code.NOT_FOUND),
    (409, "", Code.ABORTED),
    (418, "", Code.INTERNAL),
]


@pytest.mark.parametrize(("status", "provider_code", "code"), POINTED)
def test_what_the_provider_points_at_reaches_the_caller_whatever_the_code(
    gateway: RunningGateway,
    provider: RecordingProvider,
    status: int,
    provider_code: str,
    code: Code,
) -> None:
    entry = {"code": provider_code, "detail": "Why", "source": {"pointer": "/call_control_id"}}
    provider.answer = Answer(status, errors(entry))

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert failure.code is code
    assert failure.violations == {"call_control_id": "Why"}
    assert failure.info.metadata["provider_pointer"] == "/call_control_id"


@pytest.mark.parametrize(
    ("source", "violations"),
    [
        ({"parameter": "filter[from]"}, {"filter.caller": "Why"}),
        ({"pointer": "", "parameter": "page[size]"}, {"page_size": "Why"}),
        ({"header": "X-Odd"}, {"": "header X-Odd: Why"}),
        ("/filter/status", {"filter.status": "Why"}),
        ({"pointer": 7}, {"7": "Why"}),
        ({"pointer": ["/filter/status"]}, {"filter.status": "Why"}),
        ({"pointer": ["/region", "/page/size"]}, {"region": "Why", "page_size": "Why"}),
        ({"pointer": ["query", "filter", "status"]}, {"filter.status": "Why"}),
        ([{"pointer": "/region"}, "/page/size"], {"region": "Why", "page_size": "Why"}),
        ({"pointer": [{}]}, {}),
        ({"pointer": "/"}, {"": "Why"}),
        ([], {}),
        (None, {}),
    ],
)
def test_a_source_is_read_in_every_shape(
    gateway: RunningGateway,
    provider: RecordingProvider,
    source: Any,
    violations: dict[str, str],
) -> None:
    provider.answer = Answer(422, errors({"code": "10015", "detail": "Why", "source": source}))

    failure = failure_of(
        gateway.conferences.ListConferences, conference_service_pb2.ListConferencesRequest()
    )

    assert failure.violations == violations


@pytest.mark.parametrize(
    ("body", "violations"),
    [
        (errors({"detail": "bad", "pointer": "/mute"}), {"mute": "bad"}),
        (errors({"detail": "bad", "meta": {"field": "mute"}}), {"mute": "bad"}),
        (errors({"message": "bad", "field": "mute"}), {"mute": "bad"}),
        ({"errors": {"mute": ["bad"], "hold": "no"}}, {"mute": "bad", "hold": "no"}),
        ({"errors": [{"mute": ["bad"]}]}, {"mute": "bad"}),
        ({"errors": ["bad"]}, {}),
        ({"errors": "bad"}, {}),
        ({"errors": [], "error": {"detail": "bad", "source": "/mute"}}, {"mute": "bad"}),
        ({"error": "bad"}, {}),
        ({"message": "bad"}, {}),
        ({"detail": ["bad"]}, {}),
        # No words, and no place but the whole.
        ({"errors": [{"source": {"pointer": "/"}}, {"detail": "bad"}]}, {}),
    ],
)
def test_words_and_fields_are_read_in_every_form(
    gateway: RunningGateway, provider: RecordingProvider, body: Any, violations: dict[str, str]
) -> None:
    provider.answer = Answer(422, body)

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert failure.violations == violations
    assert "bad" in failure.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["errors", "error", "source", "pointer", "meta", "code", "x"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_no_error_body_is_too_odd(document: Any) -> None:
    for error in ErrorBody.read(json.dumps({"errors": document}).encode()).errors:
        assert error != ProviderError()
        assert isinstance(error.text, str)


def test_a_deep_error_body_is_survived() -> None:
    assert ErrorBody.read(b'{"errors": ' + b'{"a": [' * 100_000).errors == ()
    assert ErrorBody.read(b'{"errors": ' + b'{"a": [' * 400 + b"]}" * 400 + b"}").errors == ()


@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500])
def test_what_the_provider_says_of_the_key_is_not_for_callers(
    gateway: RunningGateway, provider: RecordingProvider, status: int
) -> None:
    provider.answer = Answer(
        status,
        errors(
            {"code": "10010", "detail": "not authorized", "source": {"pointer": "/mute"}},
            {"code": 10009, "detail": "key id 7f3e-22 is revoked", "source": {"pointer": "/key"}},
        ),
    )

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert "7f3e" not in failure.message + str(failure.status)
    if status not in (429, 500):
        assert failure.info.reason == "UPSTREAM_CREDENTIALS_REJECTED"


def test_the_first_error_whose_code_is_known_decides(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(
        422, errors({"code": "77777", "title": "Odd"}, {"code": 90018, "title": "Has ended"})
    )

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert (failure.code, failure.info.reason) == (Code.FAILED_PRECONDITION, "INVALID_STATE")
    assert failure.info.metadata["provider_code"] == "90018"
    assert "Has ended" in failure.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'\xef\xbb\xbf{"errors": [{"code": "90018", "detail": "Has ended"}]}', "Has ended"),
        (b'{"errors": [{"code": "90018", "detail": "Has \\ud83d ended"}]}', "Has ? ended"),
        (
            b'{"errors": [{"code": 90018, "detail": "Has ended", "meta": {"age": NaN}}]}',
            "Has ended",
        ),
        (b'{"errors": {"code": "90018", "detail": "Has ended"}}', "Has ended"),
    ],
)
def test_an_error_is_read_as_leniently_as_other_readers_do(
    gateway: RunningGateway, provider: RecordingProvider, body: bytes, words: str
) -> None:
    provider.answer = Answer(422, body)

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert failure.code is Code.FAILED_PRECONDITION
    assert words in failure.message


@pytest.mark.parametrize("result", [b'"\\ud83d"', b"NaN", b"{}", b"7"])
def test_an_odd_word_on_a_command_costs_nothing(
    gateway: RunningGateway, provider: RecordingProvider, result: bytes
) -> None:
    provider.answer = Answer(200, b'{"data": {"result": %s}}' % result)

    assert gateway.conferences.PlayAudio(PLAY).HasField("receipt")


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


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"x-ratelimit-reset": "7"}, 7.0),
        ({"retry-after": "soon", "x-ratelimit-reset": "7"}, 7.0),
        ({"retry-after": "7200"}, 7200.0),
        ({}, None),
    ],
)
def test_a_rate_limit_says_when_to_come_back(
    gateway: RunningGateway,
    provider: RecordingProvider,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    provider.answer = Answer(429, errors({"code": "10011"}), headers)

    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE, timeout=1)
    retry = failure.detail(error_details_pb2.RetryInfo)

    assert (retry.retry_delay.ToTimedelta().total_seconds() if retry else None) == seconds


def test_the_providers_help_and_request_id_are_passed_on(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    url = "https://developers.telnyx.com/docs/errors/90018"
    provider.answer = Answer(
        422, errors({"code": "90018", "meta": {"url": url}}), {"x-request-id": "req-7"}
    )

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert failure.detail(error_details_pb2.Help).links[0].url == url
    assert failure.detail(error_details_pb2.RequestInfo).request_id == "req-7"


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


CREATE = conference_service_pb2.CreateConferenceRequest(call_control_id="v3:a", name="n")
DELETE_QUEUE = queue_service_pb2.DeleteQueueRequest(queue_name="support")

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


@pytest.mark.parametrize(
    ("provider_code", "code", "reason"),
    [
        ("10005", Code.NOT_FOUND, "NOT_FOUND"),
        ("10015", Code.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ("10007", Code.INTERNAL, "UPSTREAM_UNEXPECTED_STATUS"),
    ],
)
def test_a_query_that_is_answered_with_an_error_has_failed_by_it(
    gateway: RunningGateway,
    provider: RecordingProvider,
    provider_code: str,
    code: Code,
    reason: str,
) -> None:
    entry = {"code": provider_code, "detail": "Why", "source": {"pointer": "/queue_name"}}
    provider.answer = Answer(200, errors(entry))

    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE)

    assert (failure.code, failure.info.reason) == (code, reason)
    assert failure.info.metadata["provider_code"] == provider_code
    assert failure.violations == {"queue_name": "Why"}
    assert "Why" in failure.message


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


@pytest.mark.parametrize("body", [b"", b"[]", b'{"errors": 3}', b'{"errors": [3]}'])
def test_an_error_body_of_any_kind_is_survived(
    gateway: RunningGateway, provider: RecordingProvider, body: bytes
) -> None:
    provider.answer = Answer(404, body)

    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE)

    assert failure.code is Code.NOT_FOUND
    assert "gave no reason" in failure.message


def test_a_deadline_is_kept_in_all(gateway: RunningGateway, provider: RecordingProvider) -> None:
    with provider.hanging():
        failure = failure_of(gateway.conferences.JoinConference, JOIN, timeout=0.3)

    assert failure.code is Code.DEADLINE_EXCEEDED


def test_too_little_time_sends_nothing(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    failure_of(gateway.conferences.JoinConference, JOIN, timeout=0.0001)

    assert provider.requests == []


@pytest.mark.slow
def test_the_default_deadline_applies_where_the_caller_sets_none(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url, GATEWAY_CALL_TIMEOUT="0.3s")

    with provider.hanging():
        failure = failure_of(gateway.conferences.JoinConference, JOIN, timeout=None)

    assert (failure.code, failure.info.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert failure.info.metadata["outcome"] == "unknown"


def test_no_secret_is_in_any_error(gateway: RunningGateway, provider: RecordingProvider) -> None:
    provider.answer = Answer(401, errors({"code": "10009", "detail": "bad key"}))

    failure = failure_of(
        gateway.conferences.StartRecording,
        conference_service_pb2.StartRecordingRequest(conference_id="c", format=AUDIO_FORMAT_WAV),
    )

    assert provider.last.headers["authorization"] == "Bearer KEY0123456789"
    assert "KEY0123456789" not in str(failure.status)
    assert "TELNYX_API_KEY" in failure.message


def test_of_errors_without_end_so_many_are_looked_at() -> None:
    said = {"detail": "no"}
    nothing: list[dict[str, str]] = [{}] * 100_000

    assert [it.detail for it in ErrorBody.of({"errors": [said, *nothing, said]}).errors] == ["no"]
