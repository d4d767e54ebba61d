"""The two formats of the page of metrics, and the traces that one of them names."""

import http.client

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway.records.attempts import AttemptEnded
from gateway.records.calls import CallEnded
from gateway.records.webhooks import WebhookReceived
from gateway.telemetry.instruments import takes_openmetrics
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.telemetry import Telemetry
from tests.harness.gateway import RunningGateway

TRACE = "0af7651916cd43dd8448eb211c80319c"

# What Prometheus itself asks with.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.75,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.25,*/*;q=0.1"
)


def test_a_bucket_names_the_trace_that_was_last_in_it() -> None:
    metrics = Metrics()
    observe = Telemetry(metrics).observe
    observe(CallEnded("p.S/M", "OK", 0.0, 0.2, trace_id=TRACE))
    observe(CallEnded("p.S/M", "OK", 0.0, 0.0001))
    observe(AttemptEnded("GetQueue", 1, "200", 0.0, 0.1, trace_id=TRACE))
    observe(WebhookReceived("stored", "call.hangup", 10, 0.0, 0.1, trace_id=TRACE))

    page = metrics.text(openmetrics=True).decode()
    families = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]
    found = {
        (sample.name, sample.labels["le"]): sample.exemplar.labels
        for family in families
        for sample in family.samples
        if sample.exemplar is not None
    }

    assert found == {
        ("grpc_server_call_duration_seconds_bucket", "0.25"): {"trace_id": TRACE},
        ("gateway_upstream_request_duration_seconds_bucket", "0.1"): {"trace_id": TRACE},
        ("gateway_webhook_duration_seconds_bucket", "0.1"): {"trace_id": TRACE},
    }
    assert TRACE not in metrics.text().decode()


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        (PROMETHEUS, True),
        ("application/openmetrics-text", True),
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
    ],
)
def test_a_scraper_gets_the_format_that_it_asks_for(
    shared_gateway: RunningGateway, accept: str, taken: bool
) -> None:
    connection = http.client.HTTPConnection(shared_gateway.admin_address, timeout=20)
    connection.request("GET", "/metrics", headers={"accept": accept} if accept else {})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()

    assert takes_openmetrics(accept) is taken
    expected = (
        "application/openmetrics-text; version=1.0.0" if taken else "text/plain; version=0.0.4"
    )
    assert response.headers["content-type"] == f"{expected}; charset=utf-8"
    assert text.endswith("# EOF\n") is taken
