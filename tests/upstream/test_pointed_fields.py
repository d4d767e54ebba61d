"""What the provider points at: it reaches the caller as the field of the proto that it is."""

from typing import Any

import pytest

from conferencing.v1 import conference_service_pb2
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider
from tests.upstream.asked import JOIN, Code, errors


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
