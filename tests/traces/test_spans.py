"""What a collector sees of calls, of requests to the provider and of webhooks."""

import grpc
import pytest

from conferencing.v1.conference_service_pb2 import JoinConferenceRequest
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetEventRequest,
    SubscribeRequest,
)
from conferencing.v1.queue_service_pb2 import GetQueueRequest, ListQueuesRequest
from gateway.journal.errors import LogUnavailableError
from gateway.tracecontext import parse
from tests.harness.collector import Collected, Collector
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.webhooks import webhook
from tests.traces.conftest import API_KEY, COLLECTOR_TOKEN

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{CALLER}-01"

GET_QUEUE = "conferencing.v1.QueueService/GetQueue"
JOIN = "conferencing.v1.ConferenceService/JoinConference"
WEBHOOK = "POST /webhooks/telnyx"

QUEUE = Answer(body={"data": {"name": "q"}})


def get_queue(gateway: RunningGateway, *metadata: tuple[str, str], name: str = "q") -> None:
    gateway.queues.GetQueue(GetQueueRequest(queue_name=name), timeout=20, metadata=metadata)


def sent_context(request: SentRequest) -> tuple[str, str, int]:
    context = parse(request.headers["traceparent"])
    assert context is not None
    return context.trace_id, context.span_id, context.flags


def test_a_call_and_its_request_belong_to_the_callers_trace(
    traced: RunningGateway, collector: Collector, provider: RecordingProvider
) -> None:
    provider.answer = QUEUE

    get_queue(
        traced, ("traceparent", SAMPLED), ("tracestate", "vendor=1"), ("x-request-id", "id-1")
    )

    call, request = collector.one(GET_QUEUE), collector.one("GET GetQueue")
    assert (call.trace_id, call.parent_id, call.kind) == (TRACE, CALLER, "server")
    assert (request.trace_id, request.parent_id, request.kind) == (TRACE, call.span_id, "client")
    assert sent_context(provider.take()) == (TRACE, request.span_id, 1)
    assert request.lies_within(call)
    assert call.span.trace_state == request.span.trace_state == "vendor=1"
    assert call.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": GET_QUEUE,
        "rpc.response.status_code": "OK",
        "gateway.request_id": "id-1",
    }
    assert request.attributes == {
        "http.request.method": "GET",
        "url.full": f"{provider.base_url}/queues/q",
        "server.address": "127.0.0.1",
        "server.port": int(provider.base_url.split(":")[2].split("/")[0]),
        "http.response.status_code": 200,
        "gateway.operation": "GetQueue",
    }
    assert (call.failed, request.failed) == ("", "")


def test_a_call_without_a_context_begins_a_trace(
    traced: RunningGateway, collector: Collector, provider: RecordingProvider
) -> None:
    provider.answer = QUEUE

    get_queue(traced, ("traceparent", f"00-{TRACE}-{'0' * 16}-01"), ("tracestate", "vendor=1"))

    call, request = collector.one(GET_QUEUE), collector.one("GET GetQueue")
    assert (call.parent_id, request.parent_id) == ("", call.span_id)
    assert call.trace_id == request.trace_id != TRACE
    sent = provider.take()
    # Random, as new ids are, and sampled.
    assert sent_context(sent) == (call.trace_id, request.span_id, 3)
    assert "tracestate" not in sent.headers


def test_each_attempt_is_a_span_and_a_failed_one_says_why(
    traced: RunningGateway, collector: Collector, provider: RecordingProvider
) -> None:
    provider.answer = lambda it: Answer(503) if provider.is_first(it) else QUEUE

    get_queue(traced)

    collector.wait_for(lambda: len(collector.named("GET GetQueue")) == 2)
    call = collector.one(GET_QUEUE)
    first, second = collector.named("GET GetQueue")
    assert [it.span_id for it in (first, second)] == [
        sent_context(it)[1] for it in provider.requests
    ]
    assert first.parent_id == second.parent_id == call.span_id
    assert (first.failed, first.attributes["error.type"]) == ("503", "503")
    assert first.attributes["http.response.status_code"] == 503
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert "gateway.hedge" not in second.attributes
    assert (second.failed, call.failed) == ("", "")


def test_a_hedge_says_that_it_is_one_and_what_it_was_sent_beside_is_abandoned(
    traced: RunningGateway, collector: Collector, provider: RecordingProvider
) -> None:
    with provider.hanging(QUEUE, provider.is_first):
        traced.queues.GetQueue(GetQueueRequest(queue_name="q"), timeout=3)

    collector.wait_for(lambda: len(collector.named("GET GetQueue")) == 2)
    first, second = sorted(
        collector.named("GET GetQueue"), key=lambda it: it.span.start_time_unix_nano
    )
    assert second.attributes["gateway.hedge"] is True
    assert second.attributes["http.request.resend_count"] == 1
    assert first.attributes["gateway.abandoned"] is True
    assert (first.failed, second.failed) == ("", "")


def test_a_request_without_a_response_fails_by_its_kind(
    traced: RunningGateway, collector: Collector, provider: RecordingProvider
) -> None:
    provider.answer = lambda _: None

    failure_of(traced.queues.GetQueue, GetQueueRequest(queue_name="q"))

    collector.wait_for(lambda: len(collector.named("GET GetQueue")) == 4)
    assert {it.failed for it in collector.named("GET GetQueue")} == {"unanswered"}
    call = collector.one(GET_QUEUE)
    assert (call.failed, call.attributes["error.type"]) == ("UNAVAILABLE", "UNAVAILABLE")


def test_what_the_caller_did_wrong_is_no_failure_of_the_gateways(
    traced: RunningGateway, collector: Collector
) -> None:
    failure_of(traced.queues.GetQueue, GetQueueRequest())

    call = collector.one(GET_QUEUE)
    assert (call.failed, call.attributes["rpc.response.status_code"]) == ("", "INVALID_ARGUMENT")
    assert call.attributes["gateway.reason"] == "INVALID_REQUEST"
    assert collector.named("GET GetQueue") == []


def test_a_stream_is_a_span_until_it_ends(traced: RunningGateway, collector: Collector) -> None:
    stream = traced.events.Subscribe(SubscribeRequest(), metadata=(("traceparent", SAMPLED),))
    next(stream)
    assert collector.spans == []

    stream.cancel()

    span = collector.one("conferencing.v1.EventService/Subscribe")
    assert (span.trace_id, span.parent_id) == (TRACE, CALLER)
    assert span.attributes["rpc.response.status_code"] == "CANCELLED"


def test_of_a_callers_trace_that_is_not_sampled_nothing_is_exported_and_its_ids_go_on(
    traced: RunningGateway, collector: Collector, provider: RecordingProvider
) -> None:
    provider.answer = QUEUE

    get_queue(traced, ("traceparent", f"00-{TRACE}-{CALLER}-02"), ("tracestate", "vendor=1"))
    get_queue(traced, name="other")

    collector.one(GET_QUEUE)
    passed, _ = provider.requests
    assert passed.headers["traceparent"] == f"00-{TRACE}-{CALLER}-02"
    assert passed.headers["tracestate"] == "vendor=1"
    assert TRACE not in {it.trace_id for it in collector.spans}


def children(collector: Collector, parent: Collected) -> dict[str, Collected]:
    found = {it.name: it for it in collector.spans if it.parent_id == parent.span_id}
    assert all(it.trace_id == parent.trace_id for it in found.values())
    return found


def test_a_webhook_has_its_signature_and_its_append_below_it(
    traced: RunningGateway, collector: Collector
) -> None:
    id_ = traced.webhooks.event()

    span = collector.one(WEBHOOK)
    assert (span.kind, span.parent_id, span.failed) == ("server", "", "")
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/webhooks/telnyx",
        "url.path": "/webhooks/telnyx",
        "http.request.body.size": span.attributes["http.request.body.size"],
        "http.response.status_code": 200,
        "gateway.webhook.result": "stored",
        "gateway.event.id": id_,
        "gateway.event.type": "conference.participant.joined",
    }
    assert span.attributes["http.request.body.size"] > 100
    parts = children(collector, span)
    assert set(parts) == {"verify signature", "append event"}
    assert {it.kind for it in parts.values()} == {"internal"}
    assert all(it.lies_within(span) and not it.failed for it in parts.values())
    # To disk and back takes longer than to make a signature out; neither takes no time.
    assert all(it.seconds > 0 for it in parts.values())


def test_an_event_has_the_context_of_its_webhook_for_all_who_read_it(
    traced: RunningGateway, collector: Collector
) -> None:
    signed = webhook(id_="theirs")
    headers = traced.webhooks.signer.telnyx(signed)
    traced.webhooks.post(signed, {**headers, "traceparent": SAMPLED, "tracestate": "vendor=1"})

    span = collector.one(WEBHOOK)
    assert (span.trace_id, span.parent_id) == (TRACE, CALLER)
    wanted = f"00-{TRACE}-{span.span_id}-01"
    stream = traced.events.Subscribe(
        SubscribeRequest(position=POSITION_EARLIEST, stop_when_caught_up=True), timeout=20
    )
    assert [it.traceparent for response in stream for it in response.events] == [wanted]
    found = traced.events.GetEvent(GetEventRequest(event_id="theirs"))
    assert found.event.traceparent == wanted


def test_what_anybody_posts_decides_neither_its_trace_nor_whether_it_is_sampled(
    traced: RunningGateway, collector: Collector
) -> None:
    forged = {**traced.webhooks.signer.telnyx(b"other"), "traceparent": SAMPLED}

    reply = traced.webhooks.post(webhook(), forged)

    assert reply.status == 401
    span = collector.one(WEBHOOK)
    assert (span.parent_id, span.links) == ("", [])
    assert span.trace_id != TRACE
    assert span.attributes["gateway.webhook.result"] == "signature_mismatch"
    parts = children(collector, span)
    assert {name: it.failed for name, it in parts.items()} == {
        "verify signature": "signature_mismatch"
    }


def test_a_webhook_that_cannot_be_stored_failed_where_it_was_to_be(
    traced: RunningGateway, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LogUnavailableError("the disk is full")

    monkeypatch.setattr(traced.log.journal, "append", full)

    traced.webhooks.post(webhook())

    span = collector.one(WEBHOOK)
    assert (span.failed, span.attributes["error.type"]) == ("503", "503")
    assert {name: it.failed for name, it in children(collector, span).items()} == {
        "verify signature": "",
        "append event": "log_unavailable",
    }


@pytest.mark.parametrize("method", ["GET", "PURGE"])
def test_a_webhook_that_comes_by_another_method(
    traced: RunningGateway, collector: Collector, method: str
) -> None:
    traced.webhooks.send(method, None, {})

    shown = method if method == "GET" else "_OTHER"
    span = collector.one(f"{shown} /webhooks/telnyx")
    assert span.attributes["http.response.status_code"] == 405
    assert children(collector, span) == {}


def test_no_span_shows_what_is_secret_or_what_was_said(
    traced: RunningGateway, collector: Collector, provider: RecordingProvider
) -> None:
    provider.answer = Answer(401, {"errors": [{"detail": f"bad key {API_KEY}"}]})
    secrets = (("authorization", "Bearer of-the-caller"), ("traceparent", SAMPLED))
    traced.webhooks.event(client_state="secret-state")
    with pytest.raises(grpc.RpcError):
        traced.queues.ListQueues(ListQueuesRequest(page_size=7), timeout=20, metadata=secrets)
    request = JoinConferenceRequest(conference_id="c", call_control_id="secret-call")
    with pytest.raises(grpc.RpcError):
        traced.conferences.JoinConference(request, timeout=20, metadata=secrets)

    collector.wait_for(lambda: bool(collector.named(JOIN)) and bool(collector.named(WEBHOOK)))
    shown = "".join(str(it.span) + str(it.resource) for it in collector.spans)
    for secret in (API_KEY, COLLECTOR_TOKEN, "of-the-caller", "secret-", "page%5Bsize", "bad key"):
        assert secret not in shown
    # The collector's own credential goes where it belongs.
    assert collector.requests[0][1]["authorization"] == f"Bearer {COLLECTOR_TOKEN}"


def test_who_made_the_spans(traced: RunningGateway, collector: Collector) -> None:
    get_queue(traced)

    span = collector.one(GET_QUEUE)
    assert span.resource["service.name"] == "telnyx-grpc-gateway"
    assert span.resource["service.version"] == "1.2.3"
    assert collector.requests[0][0] == "/v1/traces"
