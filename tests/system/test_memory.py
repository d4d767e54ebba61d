"""What requests leave behind: nothing that only a collector would find."""

import itertools
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetEventRequest,
    ListEventsRequest,
    SubscribeRequest,
    WatchConferenceRequest,
)
from conferencing.v1.queue_service_pb2 import (
    CreateQueueRequest,
    DeleteQueueRequest,
    GetQueueRequest,
)
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.harness.pages import http_get
from tests.harness.process import GatewayProcess
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.webhooks import webhook

# How often each request is made, and what may be found of all of them together.
TIMES = 30
FOUND_MAX = TIMES // 5

# gRPC's own server makes a closure that holds itself for each call, as it looks for a handler: so
# many objects, which hold the call's metadata and are collected while they are young.
OBJECTS_OF_GRPC = 5

WORKS = DeleteQueueRequest(queue_name="x")


class Stage:
    """A gateway whose collector is off, in front of a provider."""

    def __init__(self, folder: Path) -> None:
        self.provider = RecordingProvider()
        self.provider.__enter__()
        self.gateway = GatewayProcess(
            folder,
            module="tests.harness.uncollected",
            TELNYX_BASE_URL=self.provider.base_url,
        )
        self.queues = QueueServiceStub(self.gateway.channel)
        self.events = self.gateway.events
        self.webhooks = self.gateway.webhooks
        self.may_answer = threading.Event()
        self.numbers = itertools.count()

    def fails(self, call: Callable[..., object], request: object, timeout: float = 10) -> None:
        with pytest.raises(grpc.RpcError):
            call(request, timeout=timeout)

    def hesitate(self, _: SentRequest) -> Answer:
        self.may_answer.wait(20)
        return Answer()

    def send(self, data: bytes, *, read: bool) -> None:
        host, port = self.gateway.http_address.split(":")
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(data)
            if read:
                raw.recv(1_000)

    def found(self) -> dict[str, int]:
        self.gateway.signal(signal.SIGUSR1)
        found: dict[str, int] = json.loads(self.gateway.wait_for(r"found (\{.*\})"))
        return found

    def settle(self) -> None:
        """Let the gateway see that the last callers have gone."""
        for _ in range(20):
            http_get(self.gateway.admin_address, "/healthz")

    def close(self) -> None:
        self.may_answer.set()
        self.gateway.__exit__(None, None, None)
        self.provider.__exit__(None, None, None)


@pytest.fixture(scope="module")
def shared_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("memory"))
    yield stage
    stage.close()


@pytest.fixture
def stage(shared_stage: Stage) -> Iterator[Stage]:
    shared_stage.provider.reset()
    shared_stage.may_answer.clear()
    shared_stage.queues.DeleteQueue(WORKS)
    shared_stage.found()
    yield shared_stage
    shared_stage.may_answer.set()
    shared_stage.provider.reset()


def command(stage: Stage) -> None:
    stage.queues.DeleteQueue(WORKS, timeout=10)


def command_without_a_field(stage: Stage) -> None:
    stage.fails(stage.queues.DeleteQueue, DeleteQueueRequest())


def command_that_the_provider_refuses(stage: Stage) -> None:
    error = {"code": "10015", "title": "bad", "source": {"pointer": "/max_size"}}
    stage.provider.answer = Answer(422, {"errors": [error]})
    stage.fails(stage.queues.CreateQueue, CreateQueueRequest(queue_name="x"))


def query_that_finds_nothing(stage: Stage) -> None:
    stage.provider.answer = Answer(404, {"errors": [{"code": "10005", "title": "none"}]})
    stage.fails(stage.queues.GetQueue, GetQueueRequest(queue_name="x"))


def command_whose_response_is_none(stage: Stage) -> None:
    stage.provider.answer = Answer(200, b"<html>")
    stage.fails(stage.queues.CreateQueue, CreateQueueRequest(queue_name="x"))


def command_whose_deadline_passes(stage: Stage) -> None:
    stage.provider.answer = stage.hesitate
    stage.fails(stage.queues.DeleteQueue, WORKS, timeout=0.03)


def command_that_is_cancelled(stage: Stage) -> None:
    stage.provider.answer = stage.hesitate
    asked = len(stage.provider.requests)
    call = stage.queues.DeleteQueue.future(WORKS, timeout=10)
    ends = time.monotonic() + 10
    while len(stage.provider.requests) == asked and time.monotonic() < ends:
        time.sleep(0.001)
    call.cancel()
    stage.may_answer.set()


def bytes_that_are_no_message(stage: Stage) -> None:
    call: Any = stage.gateway.channel.unary_unary("/conferencing.v1.QueueService/GetQueue")
    stage.fails(call, b"\xff\xff")


def method_that_does_not_exist(stage: Stage) -> None:
    stage.fails(stage.gateway.channel.unary_unary("/x.Y/Z"), b"")


def list_of_events(stage: Stage) -> None:
    stage.events.ListEvents(ListEventsRequest(), timeout=10)


def forged_page_token(stage: Stage) -> None:
    stage.fails(stage.events.ListEvents, ListEventsRequest(page_token="forged"))


def event_that_is_not_held(stage: Stage) -> None:
    stage.fails(stage.events.GetEvent, GetEventRequest(event_id="none"))


def stream_that_is_cancelled(stage: Stage) -> None:
    stream = stage.events.Subscribe(SubscribeRequest())
    next(stream)
    stream.cancel()


def stream_that_is_read_to_its_end(stage: Stage) -> None:
    request = SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True)
    list(stage.events.Subscribe(request))


def stream_after_a_forged_cursor(stage: Stage) -> None:
    stage.fails(lambda *a, **b: list(stage.events.Subscribe(*a, **b)), forged_cursor())


def forged_cursor() -> SubscribeRequest:
    return SubscribeRequest(after_cursor="forged")


def watched_conference(stage: Stage) -> None:
    watch(stage, "in_progress").cancel()


def watched_conference_that_has_ended(stage: Stage) -> None:
    assert list(watch(stage, "completed")) == []


def watched_conference_that_is_not_there(stage: Stage) -> None:
    stage.provider.answer = Answer(404, {"errors": [{"code": "10005", "title": "none"}]})
    request = WatchConferenceRequest(conference_id="c")
    stage.fails(lambda *a, **b: list(stage.events.WatchConference(*a, **b)), request)


def watch(stage: Stage, status: str) -> Any:
    """Watch a conference of its own each time, and return the stream after its state."""

    def answer(sent: SentRequest) -> Answer:
        listed = sent.path.endswith("/participants")
        return Answer(200, {"data": [] if listed else {"id": "c", "status": status}})

    stage.provider.answer = answer
    request = WatchConferenceRequest(conference_id=f"c{next(stage.numbers)}")
    stream = stage.events.WatchConference(request, timeout=10)
    assert next(stream).HasField("snapshot")
    return stream


def connection_of_its_own(stage: Stage) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(stage.gateway.grpc_address, options=options) as channel:
        QueueServiceStub(channel).DeleteQueue(WORKS, timeout=10)


def good_webhook(stage: Stage) -> None:
    assert stage.webhooks.post(webhook()).status == 200


def unsigned_webhook(stage: Stage) -> None:
    stage.webhooks.post(b"x", {})


def signed_webhook_that_is_none(stage: Stage) -> None:
    stage.webhooks.post(b"x")


def bytes_that_are_no_http(stage: Stage) -> None:
    stage.send(b"\0\1\r\n\r\n", read=True)


def half_a_head(stage: Stage) -> None:
    stage.send(b"POST /webhooks", read=False)


def half_a_body(stage: Stage) -> None:
    head = b"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"
    stage.send(head + b"half", read=False)


def many_requests_whose_responses_nobody_takes(stage: Stage) -> None:
    stage.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 20, read=False)


KINDS = (
    (command, 1),
    (command_without_a_field, 1),
    (command_that_the_provider_refuses, 1),
    (query_that_finds_nothing, 1),
    (command_whose_response_is_none, 1),
    (command_whose_deadline_passes, 1),
    (command_that_is_cancelled, 1),
    (bytes_that_are_no_message, 1),
    (method_that_does_not_exist, 1),
    (list_of_events, 1),
    (forged_page_token, 1),
    (event_that_is_not_held, 1),
    (stream_that_is_cancelled, 1),
    (stream_that_is_read_to_its_end, 1),
    (stream_after_a_forged_cursor, 1),
    (watched_conference, 1),
    (watched_conference_that_has_ended, 1),
    (watched_conference_that_is_not_there, 1),
    (connection_of_its_own, 1),
    (good_webhook, 0),
    (unsigned_webhook, 0),
    (signed_webhook_that_is_none, 0),
    (bytes_that_are_no_http, 0),
    (half_a_head, 0),
    (half_a_body, 0),
    (many_requests_whose_responses_nobody_takes, 0),
)


@pytest.mark.parametrize(("request_", "calls"), KINDS, ids=[kind.__name__ for kind, _ in KINDS])
def test_a_request_leaves_no_circle_behind(
    stage: Stage, request_: Callable[[Stage], None], calls: int
) -> None:
    for _ in range(TIMES):
        request_(stage)
    stage.may_answer.set()
    stage.settle()

    found = stage.found()

    assert sum(found.values()) <= TIMES * OBJECTS_OF_GRPC * calls + FOUND_MAX, found


def test_a_provider_that_is_gone_leaves_no_circle_behind(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, module="tests.harness.uncollected") as gateway:
        queues = QueueServiceStub(gateway.channel)
        for _ in range(20):
            with pytest.raises(grpc.RpcError):
                queues.DeleteQueue(WORKS, timeout=0.1)
        gateway.signal(signal.SIGUSR1)
        found = json.loads(gateway.wait_for(r"found (\{.*\})"))

    assert sum(found.values()) <= 20 * OBJECTS_OF_GRPC + FOUND_MAX, found
