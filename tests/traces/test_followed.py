"""One command, followed by its ids: metric, line, trace, event, error. `pytest -s` prints it."""

import http.client
import logging
import os
import re
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.event_service_pb2 import SubscribeRequest
from gateway.sandbox import SandboxServer
from gateway.telemetry.tracing import traces_of
from tests.harness.collector import Collected, Collector
from tests.harness.gateway import Failure, RunningGateway
from tests.harness.loop import LoopThread

ALICE, BOB = "v3:sandbox-alice", "v3:sandbox-bob"
TRACE = "0af7651916cd43dd8448eb211c80319c"
JOIN = "conferencing.v1.ConferenceService/JoinConference"
EFFECT = "effect conference.participant.joined"


def sent_with(request_id: str) -> tuple[tuple[str, str], ...]:
    return ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"), ("x-request-id", request_id)


def exemplars(gateway: RunningGateway) -> list[str]:
    """Return the buckets of calls that name a trace."""
    connection = http.client.HTTPConnection(gateway.admin_address, timeout=20)
    connection.request("GET", "/metrics", headers={"accept": "application/openmetrics-text"})
    page = connection.getresponse().read().decode()
    connection.close()
    return re.findall(r"^grpc_server_call_duration_seconds_bucket.* # .*$", page, re.MULTILINE)


def line_of(caplog: pytest.LogCaptureFixture, request_id: str) -> dict[str, Any]:
    """Return the fields of the one line of a call."""
    lines = [it for it in caplog.records if it.name == "gateway.telemetry.call_lines"]
    (found,) = [it for line in lines if (it := line.__dict__["fields"])["request_id"] == request_id]
    return dict(found)


def shown(span: Collected) -> str:
    attributes = " ".join(f"{name}={value}" for name, value in span.attributes.items())
    return f"  {span.kind:9} {span.name} {attributes} {span.links or ''}"


def test_a_command_is_found_by_one_id_wherever_it_left_a_mark(
    exporting: None,
    loop: LoopThread,
    tmp_path: Path,
    simulated: SandboxServer,
    collector: Collector,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    traces = traces_of(os.environ, "1")
    gateway = RunningGateway(
        loop,
        tmp_path,
        simulated.base_url,
        traces,
        public_key=simulated.public_key,
        GATEWAY_ACCESS_LOG="all",
    )
    simulated.control.set_webhook_url(gateway.webhook_url)
    try:
        created = gateway.conferences.CreateConference(
            c.CreateConferenceRequest(call_control_id=ALICE, name="Standup")
        )
        request = c.JoinConferenceRequest(conference_id=created.conference.id, call_control_id=BOB)
        joined = gateway.conferences.JoinConference(request, metadata=sent_with("join-42"))
        request.call_control_id = "v3:nobody"
        with pytest.raises(grpc.RpcError) as raised:
            gateway.conferences.JoinConference(request, metadata=sent_with("join-43"))
        loop.run(gateway.app.rules.in_flight.wait_until_idle())

        # The caller's id of its trace leads from the metric to the trace ...
        (bucket,) = [
            it for it in exemplars(gateway) if f'grpc_method="{JOIN}"' in it and "OK" in it
        ]
        assert f'trace_id="{TRACE}"' in bucket
        # ... and the request id from the error to the line, and that to the trace.
        failure = Failure(raised.value)
        failed = line_of(caplog, failure.detail(error_details_pb2.RequestInfo).request_id)
        succeeded = line_of(caplog, "join-42")
        assert failed["request_id"] == "join-43"
        assert failed["trace_id"] == succeeded["trace_id"] == TRACE
        # The trace has the call, the request and the effect, ...
        collector.wait_for(lambda: bool(collector.named(EFFECT)))
        collector.wait_for(lambda: len(collector.named(JOIN)) == 2)
        (call,) = [
            it for it in collector.named(JOIN) if it.attributes["gateway.request_id"] == "join-42"
        ]
        below = [it for it in collector.spans if it.parent_id == call.span_id]
        assert {it.name for it in (call, *below)} == {JOIN, "POST JoinConference", EFFECT}
        assert {it.trace_id for it in (call, *below)} == {TRACE}
        # ... which names the event and the trace of its webhook, as the event itself does.
        effect = collector.one(EFFECT)
        after = SubscribeRequest(after_cursor=joined.receipt.cursor, stop_when_caught_up=True)
        stream = gateway.events.Subscribe(after, timeout=20)
        events = {it.id: it for response in stream for it in response.events}
        event = events[str(effect.attributes["gateway.event.id"])]
        ((webhook_trace, webhook_span),) = effect.links
        assert event.call_control_id == BOB
        assert event.traceparent == f"00-{webhook_trace}-{webhook_span}-03"
        collector.wait_for(lambda: any(it.span_id == webhook_span for it in collector.spans))
        (webhook,) = [it for it in collector.spans if it.span_id == webhook_span]
        assert webhook.attributes["gateway.event.id"] == event.id

        print(
            f"\nmetric   {bucket}\nline     {succeeded}\ntrace    {TRACE}",
            *map(shown, (call, *below)),
            f"event    id={event.id} traceparent={event.traceparent}\ntrace    {webhook_trace}",
            shown(webhook),
            f"error    {failure.code.name} RequestInfo.request_id=join-43\nline     {failed}",
            sep="\n",
        )
    finally:
        gateway.close()
