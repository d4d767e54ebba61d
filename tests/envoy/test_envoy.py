"""Behind a real Envoy: what its clients see of two gateways."""

import base64
import http.client
import socket
import threading
from collections import Counter
from typing import Any

import grpc

from conferencing.v1.conference_service_pb2 import EndConferenceRequest, PlayAudioRequest
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from conferencing.v1.queue_service_pb2 import GetQueueResponse
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from gateway.server.grpc.sockets import sockets_on
from tests.envoy.front import Front
from tests.harness.gateway import Failure, RunningGateway, failure_of
from tests.harness.pair import GET, QUEUE, Pair, both, spread
from tests.harness.provider import Answer
from tests.harness.readiness import until
from tests.harness.webhooks import webhook

Code = grpc.StatusCode
DOWN = Answer(503, {"errors": []})
REJECTED = Answer(401, {"errors": [{"code": "10009"}]})
ORIGIN = "https://console.example"


def test_calls_go_round_and_errors_come_whole(pair: Pair, front: Front) -> None:
    assert spread(pair, front.channel) == [10, 10]

    missing = Answer(404, {"errors": [{"code": "10005", "detail": "no such queue"}]})
    for provider in pair.providers:
        provider.answer = missing
    failure = failure_of(QueueServiceStub(front.channel).GetQueue, GET)

    assert (failure.code, failure.info.reason) == (Code.NOT_FOUND, "NOT_FOUND")
    # Nothing but UNAVAILABLE is retried.
    assert sum(pair.taken()) == 1


def test_a_stream_gets_its_events_and_its_end(pair: Pair, front: Front) -> None:
    streams = [EventServiceStub(front.channel).Subscribe(SubscribeRequest()) for _ in range(2)]
    for stream in streams:
        next(stream)

    for number, gateway in enumerate(pair.gateways):
        assert gateway.webhooks.post(webhook(id_=f"of-{number}")).status == 200
    # Each gateway has a log of its own, and one of the streams.
    assert {event.id for it in streams for event in next(it).events} == {"of-0", "of-1"}

    for gateway in pair.gateways:
        gateway.stop()
    for stream in streams:
        (last,) = list(stream)
        assert last.cursor
        assert last.HasField("drain")


def test_what_only_failed_at_one_gateway_is_tried_at_the_other(pair: Pair, front: Front) -> None:
    pair.providers[0].answer = DOWN

    queues = QueueServiceStub(front.channel)
    for _ in range(4):
        queues.GetQueue(GET, timeout=20)

    assert front.stat("cluster.commands.upstream_rq_retry_success") >= 2


def test_what_may_have_run_is_not_retried(pair: Pair, front: Front) -> None:
    pair.providers[0].answer = DOWN
    conferences = ConferenceServiceStub(front.channel)

    ends: Counter[str] = Counter()
    for _ in range(4):
        call = conferences.PlayAudio.future(
            PlayAudioRequest(conference_id="c", media_name="m"), timeout=20
        )
        failure = call.exception()
        ends[Failure(failure).info.reason if failure else "OK"] += 1

    assert ends == {"OK": 2, "OUTCOME_UNKNOWN": 2}
    assert pair.taken() == [2, 2]
    assert front.stat("cluster.commands.upstream_rq_retry") == 0


def cut_off(gateway: RunningGateway) -> None:
    """Break all connections to a gateway, as a network does or the end of a process."""
    port = int(str(gateway.app.grpc_address).rpartition(":")[2])
    for _, connection in sockets_on(port, listening=False):
        connection.shutdown(socket.SHUT_RDWR)


def test_what_a_broken_connection_leaves_open_is_not_sent_again(pair: Pair, front: Front) -> None:
    command = EndConferenceRequest(conference_id="c", command_id="mine")
    with pair.providers[0].hanging(), pair.providers[1].hanging():
        call = ConferenceServiceStub(front.channel).EndConference.future(command, timeout=20)
        until(lambda: any(it.requests for it in pair.providers))
        taken_by = next(number for number, it in enumerate(pair.providers) if it.requests)

        cut_off(pair.gateways[taken_by])

        failure = Failure(call.exception())
    assert failure.code is Code.UNAVAILABLE
    assert failure.status is None
    assert sum(pair.taken()) == 1


def test_a_deadline_is_kept_by_the_gateway_which_says_what_became_of_the_call(
    pair: Pair, front: Front
) -> None:
    command = EndConferenceRequest(conference_id="c", command_id="mine")
    # Too short for the gateway to send a second request itself.
    with pair.providers[0].hanging(), pair.providers[1].hanging():
        failure = failure_of(
            ConferenceServiceStub(front.channel).EndConference, command, timeout=0.9
        )

    assert failure.code is Code.DEADLINE_EXCEEDED
    assert failure.info.metadata["outcome"] == "unknown"
    assert sum(pair.taken()) == 1


def test_a_gateway_whose_key_is_rejected_gets_no_commands_and_keeps_its_streams(
    pair: Pair, front: Front
) -> None:
    pair.providers[0].answer = REJECTED
    failure_of(pair.gateways[0].queues.GetQueue, GET)
    until(lambda: front.healthy("commands") == 1)
    # What it counts its worker hears of a moment later: each second call fails until then.
    queues = QueueServiceStub(front.channel)
    until(lambda: not any(queues.GetQueue.future(GET).exception() for _ in range(2)))
    pair.taken()

    assert spread(pair, front.channel) == [0, 20]
    assert front.healthy("events") == 2
    events = EventServiceStub(front.channel)
    assert len({events.GetFeedInfo(GetFeedInfoRequest()).epoch for _ in range(4)}) == 2

    pair.providers[0].answer = QUEUE
    pair.gateways[0].queues.GetQueue(GET)
    until(lambda: front.healthy("commands") == 2)
    both(pair, front.channel)


def test_no_call_is_lost_when_a_gateway_shuts_down(pair: Pair, front: Front) -> None:
    over = threading.Event()
    ends: Counter[str] = Counter()
    counted = threading.Lock()

    def caller() -> None:
        queues = QueueServiceStub(front.channel)
        while not over.is_set():
            failure = queues.GetQueue.future(GET, timeout=20).exception()
            with counted:
                ends["OK" if failure is None else str(Failure(failure).message)] += 1

    callers = [threading.Thread(target=caller) for _ in range(8)]
    for it in callers:
        it.start()
    until(lambda: ends["OK"] > 100)
    pair.gateways[0].stop()
    after = ends["OK"]
    until(lambda: ends["OK"] > after + 100 or len(ends) > 1)
    over.set()
    for it in callers:
        it.join()

    assert set(ends) == {"OK"}
    until(lambda: front.healthy("commands") == 1)


def web_call(front: Front, kind: str, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    """Post a call as a page in a browser does (gRPC-Web)."""
    connection = http.client.HTTPConnection(front.address, timeout=20)
    headers = {"content-type": kind, "accept": kind, "origin": ORIGIN, "x-grpc-web": "1"}
    connection.request("POST", "/conferencing.v1.QueueService/GetQueue", body, headers)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response, data


def frames(data: bytes) -> dict[int, bytes]:
    """The frames of a response by their flag: 0 for the message, 0x80 for the trailers."""
    found: dict[int, bytes] = {}
    while data:
        length = int.from_bytes(data[1:5])
        found[data[0]], data = data[5 : 5 + length], data[5 + length :]
    return found


def framed(message: Any) -> bytes:
    body: bytes = message.SerializeToString()
    return b"\0" + len(body).to_bytes(4, "big") + body


def test_a_page_in_a_browser_calls_by_grpc_web(pair: Pair, front: Front) -> None:
    response, data = web_call(front, "application/grpc-web+proto", framed(GET))

    assert response.status == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    got = frames(data)
    assert GetQueueResponse.FromString(got[0]).queue.name == "q"
    assert b"grpc-status:0" in got[0x80].replace(b" ", b"")

    text = base64.b64encode(framed(GET))
    response, data = web_call(front, "application/grpc-web-text+proto", text)
    assert GetQueueResponse.FromString(frames(base64.b64decode(data[:1000]))[0]).queue.name == "q"


def test_a_browser_is_told_which_pages_may_call(pair: Pair, front: Front) -> None:
    def asked(origin: str) -> str | None:
        connection = http.client.HTTPConnection(front.address, timeout=20)
        asks = {"origin": origin, "access-control-request-method": "POST"}
        connection.request("OPTIONS", "/conferencing.v1.QueueService/GetQueue", headers=asks)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.headers["access-control-allow-origin"]

    assert asked(ORIGIN) == ORIGIN
    assert asked("https://elsewhere.example") is None
