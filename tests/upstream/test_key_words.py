"""What the provider says of the key: for whoever runs the gateway, and never for callers."""

import grpc
import pytest

from conferencing.v1 import conference_service_pb2
from conferencing.v1.common_pb2 import AUDIO_FORMAT_WAV
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.log_lines import warnings
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.readiness import ready
from tests.upstream.asked import GET_QUEUE, JOIN, errors

SECRET = "KEY019ABCDEF0123456789_s3cr3tS3cr3t"


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


def test_no_secret_is_in_any_error(gateway: RunningGateway, provider: RecordingProvider) -> None:
    provider.answer = Answer(401, errors({"code": "10009", "detail": "bad key"}))

    failure = failure_of(
        gateway.conferences.StartRecording,
        conference_service_pb2.StartRecordingRequest(conference_id="c", format=AUDIO_FORMAT_WAV),
    )

    assert provider.last.headers["authorization"] == "Bearer KEY0123456789"
    assert "KEY0123456789" not in str(failure.status)
    assert "TELNYX_API_KEY" in failure.message


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403])
def test_the_providers_words_on_the_key_are_in_the_log_and_not_in_the_response(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    words = f"The API key {SECRET} (id 1b2c3d) was revoked. Sent: Bearer {SECRET}"
    error = {
        **{"code": "10009", "title": "Authentication failed", "detail": words},
        "source": {"pointer": "/api_key"},
    }
    provider.answer = Answer(status, errors(error))
    gateway = start_gateway(provider.base_url)

    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE)

    assert failure.code is grpc.StatusCode.INTERNAL
    assert failure.info.reason == "UPSTREAM_CREDENTIALS_REJECTED"
    shown = failure.message + str(failure.status)
    assert "revoked" not in shown
    assert "1b2c3d" not in shown
    assert "KEY019" not in shown
    assert "its log" in failure.message
    (line,) = warnings(caplog)
    assert "was revoked" in line
    assert "s3cr3t" not in line
    assert ready(gateway)[1] == "not ready: the provider rejects TELNYX_API_KEY\n"


@pytest.mark.parametrize("status", [403, 422])
def test_a_key_in_any_other_error_is_taken_out_of_the_providers_words(
    gateway: RunningGateway, provider: RecordingProvider, status: int
) -> None:
    pointed = {"code": "10010", "detail": f"{SECRET} may not do this", "source": {"pointer": "/x"}}
    provider.answer = Answer(status, errors(pointed))

    failure = failure_of(gateway.queues.GetQueue, GET_QUEUE)

    assert "may not do this" in failure.message
    assert "KEY019" not in failure.message + str(failure.status)
