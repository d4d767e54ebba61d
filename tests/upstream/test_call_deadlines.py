"""The deadline of a call, the caller's or the default: it is kept in all."""

import pytest

from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import RecordingProvider
from tests.upstream.asked import JOIN, Code


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
