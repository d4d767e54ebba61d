"""The id of a call: taken or made, and told wherever somebody may look for the call."""

import logging
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1.event_service_pb2 import SubscribeRequest
from conferencing.v1.queue_service_pb2 import GetQueueRequest
from gateway.server.request_ids import HEADER, request_id_of
from tests.harness.gateway import Failure, RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider

ASKED = GetQueueRequest(queue_name="q")
QUEUE = Answer(body={"data": {"id": "q", "name": "q"}})
GIVEN = "a-caller/42:7"


def called(gateway: RunningGateway, *metadata: tuple[str, str]) -> tuple[Any, str]:
    """Make a call; return it, and the one id that its trailing metadata have."""
    call: Any
    try:
        _, call = gateway.queues.GetQueue.with_call(ASKED, timeout=20, metadata=metadata)
    except grpc.RpcError as error:
        call = error
    (id_,) = [value for name, value in call.trailing_metadata() if name == HEADER]
    return call, str(id_)


@pytest.mark.parametrize("answer", [QUEUE, Answer(404, {"errors": [{"title": "Gone"}]})])
def test_the_callers_id_goes_to_the_provider_and_comes_back(
    gateway: RunningGateway, provider: RecordingProvider, answer: Answer
) -> None:
    provider.answer = answer

    _, id_ = called(gateway, (HEADER, GIVEN))

    assert id_ == GIVEN
    assert provider.take().headers[HEADER] == GIVEN


def test_a_call_without_an_id_gets_one_of_its_own(
    gateway: RunningGateway, provider: RecordingProvider
) -> None:
    provider.answer = QUEUE

    ids = [called(gateway)[1] for _ in range(3)]

    assert [it.headers[HEADER] for it in provider.requests] == ids
    assert len(set(ids)) == 3
    assert all(len(it) == 32 and int(it, 16) >= 0 for it in ids)


@pytest.mark.parametrize("unfit", ["", "x" * 65, "two words", "ümlaut", "tab\tbed", b"bytes"])
def test_an_id_that_is_unfit_for_a_header_or_a_line_is_replaced(unfit: str | bytes) -> None:
    made = request_id_of([("other", "x"), (HEADER, unfit)])

    assert made != unfit
    assert len(made) == 32


def test_the_first_of_several_ids_counts() -> None:
    assert request_id_of([(HEADER, "first"), (HEADER, "second")]) == "first"


def test_an_error_tells_both_ids(gateway: RunningGateway, provider: RecordingProvider) -> None:
    provider.answer = Answer(
        422, {"errors": [{"title": "Bad"}]}, {"x-request-id": "of-the-provider"}
    )

    call, _ = called(gateway, (HEADER, GIVEN))

    failure = Failure(call)
    assert failure.detail(error_details_pb2.RequestInfo).request_id == GIVEN
    assert failure.info.metadata["provider_request_id"] == "of-the-provider"


def test_a_stream_tells_its_id_at_its_beginning(gateway: RunningGateway) -> None:
    stream: Any = gateway.events.Subscribe(SubscribeRequest(), metadata=((HEADER, GIVEN),))

    assert dict(stream.initial_metadata())[HEADER] == GIVEN
    stream.cancel()


def test_a_line_has_the_id_and_what_else_there_is_to_know(
    gateway: RunningGateway,
    provider: RecordingProvider,
    loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    provider.answer = lambda it: Answer(503 if provider.is_first(it) else 404, {"errors": []})

    called(gateway, (HEADER, GIVEN))
    loop.run(gateway.app.rules.in_flight.wait_until_idle())

    (line,) = [it for it in caplog.records if it.name == "gateway.telemetry.call_lines"]
    fields = line.__dict__["fields"]
    assert line.levelname == "INFO"
    assert line.getMessage().startswith("a call failed: conferencing.v1.QueueService/GetQueue: ")
    assert fields["peer"].startswith("ipv4:127.0.0.1:")
    assert fields["ms"] > 0
    expected = {
        "method": "conferencing.v1.QueueService/GetQueue",
        "status": "NOT_FOUND",
        "reason": "NOT_FOUND",
        "caller": "",
        "attempts": 2,
        "received_bytes": ASKED.ByteSize(),
        "sent_bytes": 0,
        "request_id": GIVEN,
        "trace_id": "",
    }
    assert {name: fields[name] for name in expected} == expected
