"""The published service configs, loaded by a Python client of two gateways."""

from collections import Counter
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from conferencing.v1.conference_service_pb2 import EndConferenceRequest, PlayAudioRequest
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_service_pb2 import GetFeedInfoRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.harness.gateway import Failure, failure_of
from tests.harness.loop import LoopThread
from tests.harness.pair import GET, HELD, QUEUE, Pair, both, draining, spread, without_health
from tests.harness.provider import Answer
from tests.harness.readiness import serving, until

PLAY = PlayAudioRequest(conference_id="c", media_name="m")


def holds(channel: grpc.Channel) -> Any:
    """Return what begins a call that is held."""
    return lambda: ConferenceServiceStub(channel).EndConference.future(HELD, timeout=60)


def test_a_query_that_meets_a_shutdown_is_retried_by_the_client_itself(
    pair: Pair, loop: LoopThread
) -> None:
    # Nothing but retries keeps calls from the one that shuts down.
    channel = pair.channel("commands.json", without_health)
    both(pair, channel)

    with draining(pair, holds(channel), loop):
        queues = QueueServiceStub(channel)
        for _ in range(6):
            queues.GetQueue(GET, timeout=20)
        assert pair.taken() == [0, 6]


def test_the_first_attempt_was_refused_where_a_retry_succeeded(
    pair: Pair, loop: LoopThread
) -> None:
    channel = pair.channel("commands.json", without_health, retries=False)
    both(pair, channel)

    with draining(pair, holds(channel), loop):
        ends = Counter(_end_of(channel) for _ in range(6))

    assert set(ends) == {"OK", "GATEWAY_SHUTTING_DOWN"}


def _end_of(channel: grpc.Channel) -> str:
    try:
        QueueServiceStub(channel).GetQueue(GET, timeout=20)
    except grpc.RpcError as error:
        return str(Failure(error).info.reason)
    return "OK"


@pytest.mark.parametrize(
    ("config", "command_is_retried"), [("commands.json", False), ("commands-with-ids.json", True)]
)
def test_a_command_is_retried_only_where_its_id_is_said_to_be_set(
    pair: Pair, loop: LoopThread, config: str, command_is_retried: bool
) -> None:
    channel = pair.channel(config, without_health)
    both(pair, channel)
    conferences = ConferenceServiceStub(channel)

    with draining(pair, holds(channel), loop):
        ends: Counter[str] = Counter()
        for number in range(6):
            request = EndConferenceRequest(conference_id="c", command_id=f"mine-{number}")
            failure = conferences.EndConference.future(request, timeout=20).exception()
            ends[Failure(failure).info.reason if failure else "OK"] += 1
        plays = [conferences.PlayAudio.future(PLAY, timeout=20).exception() for _ in range(4)]

    assert set(ends) == ({"OK"} if command_is_retried else {"OK", "GATEWAY_SHUTTING_DOWN"})
    # If a connection broke, it would be heard twice: never retried.
    assert any(plays)


def test_who_is_not_serving_gets_no_calls(pair: Pair) -> None:
    channel = pair.channel("commands.json")
    unchecked = pair.channel("commands.json", without_health)
    both(pair, channel)
    both(pair, unchecked)
    first = pair.gateways[0]

    pair.providers[0].answer = Answer(401, {"errors": [{"code": "10009"}]})
    failure_of(first.queues.GetQueue, GET)
    until(lambda: not serving(first, "conferencing.v1.QueueService"))
    pair.taken()
    until(lambda: not failing(pair, channel))

    assert spread(pair, channel) == [0, 20]
    # It is the health that keeps them away: others still call it.
    assert failing(pair, unchecked) == 4
    # What it can do is still asked of it.
    events = EventServiceStub(pair.channel("events.json"))
    epochs = {events.GetFeedInfo(GetFeedInfoRequest()).epoch for _ in range(20)}
    assert len(epochs) == 2

    pair.providers[0].answer = QUEUE
    first.queues.GetQueue(GET)
    pair.taken()
    both(pair, channel)
    assert all(spread(pair, channel))


def failing(pair: Pair, channel: grpc.Channel) -> int:
    """How many of eight calls fail."""
    queues = QueueServiceStub(channel)
    ends = [queues.GetQueue.future(GET, timeout=20).exception() for _ in range(8)]
    pair.taken()
    return sum(it is not None for it in ends)


def test_who_shuts_down_gets_no_calls_from_those_who_check_health(
    pair: Pair, loop: LoopThread
) -> None:
    channel = pair.channel("commands.json", retries=False)
    both(pair, channel)

    with draining(pair, holds(channel), loop):
        until(lambda: not failing(pair, channel))
        assert spread(pair, channel) == [0, 20]


def test_a_call_without_a_deadline_has_that_of_the_config(pair: Pair) -> None:
    def shorter(config: dict[str, Any]) -> None:
        for entry in config["methodConfig"]:
            assert entry["timeout"] == "20s"
            entry["timeout"] = "0.5s"

    channel = pair.channel("commands.json", shorter)
    with ExitStack() as stack:
        for provider in pair.providers:
            stack.enter_context(provider.hanging())
        failure = failure_of(QueueServiceStub(channel).GetQueue, GET, timeout=None)

    assert failure.code is grpc.StatusCode.DEADLINE_EXCEEDED
