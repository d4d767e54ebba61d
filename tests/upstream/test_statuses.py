"""What the provider responds with, or that it does not, and the status that a caller gets."""

import pytest
from google.rpc import error_details_pb2

from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider
from tests.upstream.asked import GET_QUEUE, JOIN, Code, errors


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


def test_the_providers_help_and_its_request_id_are_passed_on(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    url = "https://developers.telnyx.com/docs/errors/90018"
    provider.answer = Answer(
        422, errors({"code": "90018", "meta": {"url": url}}), {"x-request-id": "req-7"}
    )

    failure = failure_of(gateway.conferences.JoinConference, JOIN)

    assert failure.detail(error_details_pb2.Help).links[0].url == url
    assert failure.info.metadata["provider_request_id"] == "req-7"


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


@pytest.mark.parametrize("body", [b"", b"[]", b'{"errors": 3}', b'{"errors": [3]}'])
def test_an_error_body_of_any_kind_is_survived(
    gateway: RunningGateway, provider: RecordingProvider, body: bytes
) -> None:
    provider.answer = Answer(404, body)

    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE)

    assert failure.code is Code.NOT_FOUND
    assert "gave no reason" in failure.message
