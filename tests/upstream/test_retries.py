"""Retries over the wire: a real gateway and a real provider, as a client sees them."""

import threading
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from tests.conftest import StartGateway
from tests.harness.gateway import Failure, RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.readiness import ready, serving, until
from tests.harness.refusals import listen, refusals_of

pytestmark = pytest.mark.slow

GET = q.GetQueueRequest(queue_name="q")
END = c.EndConferenceRequest(conference_id="c")

PLAY = c.PlayAudioRequest(conference_id="c", media_name="m")


def test_a_rate_limit_reaches_grpc_retries_as_pushback(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = Answer(429, {}, {"retry-after": "60"})

    with pytest.raises(grpc.RpcError) as caught:
        gateway.queues.GetQueue(GET, timeout=5)

    error: Any = caught.value
    assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "60000"


def test_a_command_without_a_response_is_hedged(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url, GATEWAY_HEDGE_AFTER="0.2s")

    with provider.hanging(which=provider.is_first):
        answer = gateway.conferences.EndConference(END, timeout=20)

    first, second = provider.requests
    assert first.body == second.body == {"command_id": answer.receipt.command_id}


@pytest.mark.parametrize("second", [429, 503])
def test_a_lost_response_is_not_forgotten_for_that_of_the_hedge(
    start_gateway: StartGateway, provider: RecordingProvider, second: int
) -> None:
    released = threading.Event()

    def first_hangs_up(request: SentRequest) -> Answer | None:
        if len(provider.requests) == 1:
            released.wait(20)
            return None  # it may have run, who knows
        released.set()
        return Answer(second, {}, {"retry-after": "60"})

    provider.answer = first_hangs_up
    gateway = start_gateway(provider.base_url, GATEWAY_HEDGE_AFTER="0.1s")

    failure = failure_of(gateway.conferences.EndConference, END, timeout=5)

    assert failure.code is grpc.StatusCode.UNKNOWN
    assert failure.info.metadata["outcome"] == "unknown"


def test_what_is_abandoned_for_its_hedge_may_have_run(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url, GATEWAY_HEDGE_AFTER="0.1s")

    with provider.hanging(Answer(422, {"errors": [{"code": "90018"}]}), provider.is_first):
        failure = failure_of(gateway.conferences.EndConference, END, timeout=5)

    assert failure.info.reason == "INVALID_STATE"
    assert failure.info.metadata["outcome"] == "unknown"


def test_what_has_no_id_is_not_hedged(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    released = threading.Event()

    def hangs(request: SentRequest) -> Answer:
        released.wait(1)
        return Answer()

    provider.answer = hangs
    gateway = start_gateway(provider.base_url, GATEWAY_HEDGE_AFTER="0.1s")

    gateway.conferences.PlayAudio(PLAY, timeout=20)

    assert len(provider.requests) == 1


def test_a_full_queue_is_refused_at_once(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(caplog)
    gateway = start_gateway(
        provider.base_url, GATEWAY_UPSTREAM_IN_FLIGHT="2", GATEWAY_UPSTREAM_WAITING="1"
    )

    with provider.hanging():
        futures = [gateway.conferences.PlayAudio.future(PLAY, timeout=20) for _ in range(3)]
        gateway.wait_for_upstream(in_flight=2, waiting=1)
        failure = failure_of(gateway.conferences.PlayAudio, PLAY)

    assert (failure.code.name, failure.info.reason) == ("RESOURCE_EXHAUSTED", "GATEWAY_OVERLOADED")
    assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 1
    assert all(future.result().receipt.result == "ok" for future in futures)
    (told,) = refusals_of(gateway, loop, caplog)
    text = "refused a call: NO_ROOM_UPSTREAM: conferencing.v1.ConferenceService/PlayAudio: "
    assert told.text.startswith(text)


def test_a_replica_sends_its_share_of_what_may_be_in_flight(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(
        provider.base_url,
        GATEWAY_UPSTREAM_IN_FLIGHT="6",
        GATEWAY_UPSTREAM_SHARE="1/3",
        GATEWAY_UPSTREAM_WAITING="1",
    )

    with provider.hanging():
        futures = [gateway.conferences.PlayAudio.future(PLAY, timeout=20) for _ in range(3)]
        gateway.wait_for_upstream(in_flight=2, waiting=1)

    assert all(future.result().receipt.result == "ok" for future in futures)


def test_callers_who_go_hold_no_connection_that_nobody_counts(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(
        provider.base_url, GATEWAY_UPSTREAM_IN_FLIGHT="3", GATEWAY_UPSTREAM_WAITING="0"
    )
    empty = Answer(200, {"data": {}})

    with provider.hanging(empty, lambda request: request.path.endswith("/play")) as released:
        for abandoned in (3, 6):
            calls = [gateway.conferences.PlayAudio.future(PLAY, timeout=60) for _ in range(3)]
            gateway.wait_for_upstream(in_flight=abandoned)
            for call in calls:
                call.cancel()
            gateway.wait_for_upstream(abandoned=abandoned)
            if abandoned == 3:
                # Others pass at once, though none of the requests has ended.
                gateway.queues.GetQueue(GET, timeout=20)
                assert not released.is_set()
        # There are as many connections again for them, but no more: what is beyond is refused.
        failure = failure_of(gateway.queues.GetQueue, GET, timeout=20)
        assert (failure.code.name, failure.info.reason) == (
            "RESOURCE_EXHAUSTED",
            "GATEWAY_OVERLOADED",
        )
    gateway.wait_for_upstream(in_flight=0)
    gateway.queues.GetQueue(GET, timeout=20)


def test_the_status_comes_before_the_callers_own_deadline(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url)
    command = c.EndConferenceRequest(conference_id="c", command_id="mine")

    with provider.hanging():
        calls = [gateway.conferences.EndConference.future(command, timeout=2) for _ in range(60)]
        failures = [Failure(error) for call in calls if (error := call.exception())]

    assert {it.code.name for it in failures} == {"DEADLINE_EXCEEDED"}
    told = [it.info.metadata for it in failures if it.status is not None]
    # Nearly all: on a machine that stands still for 0.2 s nobody's status comes in time.
    assert len(told) > 50
    assert {(it["outcome"], it["command_id"]) for it in told} == {("unknown", "mine")}


def test_a_rejected_key_makes_the_gateway_not_ready_until_it_is_taken(
    start_gateway: StartGateway, provider: RecordingProvider
) -> None:
    gateway = start_gateway(provider.base_url)

    def state() -> tuple[int, bool]:
        return ready(gateway)[0], serving(gateway, "conferencing.v1.ConferenceService")

    until(lambda: state() == (200, True))
    provider.answer = Answer(401, {"errors": [{"code": "10009"}]})
    failure_of(gateway.queues.GetQueue, GET)
    until(lambda: state() == (503, False))
    assert serving(gateway, "conferencing.v1.EventService")
    provider.answer = Answer(200, {"data": [], "meta": {}})
    until(lambda: state() == (200, True))
