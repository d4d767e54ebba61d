"""What is counted of each record."""

import re
from collections.abc import Sequence

import pytest

from gateway.records.attempts import ABANDONED, AttemptEnded
from gateway.records.backfill import Cause, DeliveryChecked, SweepEnded, Verdict
from gateway.records.calls import CallEnded
from gateway.records.commits import CommitEnded
from gateway.records.deliveries import RoundEnded
from gateway.records.observer import Record
from gateway.records.webhooks import EventNoted, WebhookReceived
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.telemetry import Telemetry

SIZE = "_total_compressed_message_size_bytes"

# Records in their order, and the series with their values that come of them.
COUNTS: list[tuple[Sequence[Record], dict[str, float]]] = [
    (
        [CallEnded("p.S/M", "OK", 100.0, 0.25), CallEnded("p.S/M", "NOT_FOUND", 0.0, 2.0)],
        {
            'grpc_server_call_duration_seconds_count{grpc_method="p.S/M",grpc_status="OK"}': 1,
            'grpc_server_call_duration_seconds_sum{grpc_method="p.S/M",grpc_status="OK"}': 0.25,
            'grpc_server_call_duration_seconds_sum{grpc_method="p.S/M",grpc_status="NOT_FOUND"}': 2,
        },
    ),
    (
        [
            CallEnded("p.S/M", "OK", 0, 1, caller="a", received_bytes=200, sent_bytes=3_000),
            CallEnded("p.S/M", "OK", 0, 1, caller="a", received_bytes=1_000, sent_bytes=5_000),
            CallEnded("p.S/M", "OK", 0, 1, caller="b"),
        ],
        {
            f'grpc_server_call_rcvd{SIZE}_sum{{grpc_method="p.S/M",grpc_status="OK"}}': 1_200,
            f'grpc_server_call_sent{SIZE}_sum{{grpc_method="p.S/M",grpc_status="OK"}}': 8_000,
            f"grpc_server_call_sent{SIZE}_bucket"
            '{grpc_method="p.S/M",grpc_status="OK",le="512.0"}': 1,
            'gateway_calls_total{caller="a",grpc_status="OK"}': 2,
            'gateway_calls_total{caller="b",grpc_status="OK"}': 1,
        },
    ),
    (
        [
            CommitEnded(30, 28, 9_000, 5.0, 0.02, 0.5),
            CommitEnded(1, 0, 0, 6.0, 0.01, 0.1, succeeded=False),
        ],
        {
            'gateway_log_commit_duration_seconds_sum{outcome="committed"}': 0.02,
            'gateway_log_commit_duration_seconds_sum{outcome="failed"}': 0.01,
            'gateway_log_append_duration_seconds_bucket{le="0.5"}': 0,
            'gateway_log_append_duration_seconds_bucket{le="1.0"}': 1,
            'gateway_log_commit_events_bucket{le="16.0"}': 0,
            'gateway_log_commit_events_bucket{le="32.0"}': 1,
        },
    ),
    (
        [RoundEnded(3, 100, 0.03)],
        {
            'gateway_feed_lag_seconds_bucket{le="0.025"}': 0,
            'gateway_feed_lag_seconds_bucket{le="0.05"}': 1,
        },
    ),
    (
        [
            AttemptEnded("GetQueue", 1, "503", 0.0, 0.1),
            AttemptEnded("GetQueue", 2, "200", 0.2, 0.1),
            AttemptEnded("GetQueue", 3, "200", 0.2, 0.1),
            AttemptEnded("GetQueue", 1, ABANDONED, 0.0, 0.1),
            AttemptEnded("GetQueue", 2, "429", 0.0, 0.2, True, waited_s=3.0, pause_s=20.0),
        ],
        {
            'gateway_upstream_requests_total{kind="first",method="GetQueue",outcome="503"}': 1,
            'gateway_upstream_requests_total{kind="retry",method="GetQueue",outcome="200"}': 2,
            'gateway_upstream_requests_total{kind="first",method="GetQueue",outcome="abandoned"}': (
                1
            ),
            'gateway_upstream_requests_total{kind="hedge",method="GetQueue",outcome="429"}': 1,
            'gateway_upstream_request_duration_seconds_sum{method="GetQueue",outcome="429"}': 0.2,
            'gateway_upstream_wait_seconds_bucket{le="2.5"}': 4,
            'gateway_upstream_wait_seconds_bucket{le="5.0"}': 5,
            'gateway_upstream_pause_seconds_sum{outcome="429"}': 20,
        },
    ),
    (
        [
            WebhookReceived("stored", "call.hangup", 10, 0.0, 0.1),
            WebhookReceived("duplicate", "call.hangup", 10, 0.0, 0.1),
            WebhookReceived("not_json", "", 10, 0.0, 0.1),
        ],
        {
            'gateway_webhooks_total{outcome="stored"}': 1,
            'gateway_webhooks_total{outcome="duplicate"}': 1,
            'gateway_webhooks_total{outcome="not_json"}': 1,
            'gateway_events_total{type="call.hangup"}': 1,
            'gateway_webhook_duration_seconds_count{outcome="not_json"}': 1,
        },
    ),
    (
        [EventNoted("NOT_AN_ID"), EventNoted("NOT_AN_ID")],
        {'gateway_event_notes_total{reason="NOT_AN_ID"}': 2},
    ),
    (
        [DeliveryChecked(Verdict.FOREIGN)],
        {'gateway_backfill_deliveries_total{outcome="foreign"}': 1},
    ),
    (
        [SweepEnded(Cause.START, 0.0, 1.0), SweepEnded(Cause.START, 0.0, 1.0, error="away")],
        {
            'gateway_backfill_sweeps_total{cause="start",outcome="succeeded"}': 1,
            'gateway_backfill_sweeps_total{cause="start",outcome="failed"}': 1,
            'gateway_backfill_sweep_duration_seconds_sum{outcome="failed"}': 1,
        },
    ),
]


class Broken(Metrics):
    """Metrics that cannot count requests to the provider."""

    def attempt_ended(self, attempt: AttemptEnded) -> None:
        raise ValueError("no such label")


def series(metrics: Metrics) -> dict[str, float]:
    """Return the value of each series with labels."""
    lines = re.findall(r"^(\w+\{.+\}) (\S+)$", metrics.text().decode(), re.MULTILINE)
    return {name: float(value) for name, value in lines}


@pytest.mark.parametrize(
    ("records", "counts"),
    COUNTS,
    ids=lambda it: type(it[0]).__name__ if isinstance(it, list) else "",
)
def test_records_are_counted(records: Sequence[Record], counts: dict[str, float]) -> None:
    metrics = Metrics()
    observe = Telemetry(metrics).observe

    for record in records:
        observe(record)

    found = series(metrics)
    assert {name: found.get(name) for name in counts} == counts


def test_a_fault_of_telemetry_is_logged_and_does_not_reach_what_was_recorded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Telemetry(Broken()).observe(AttemptEnded("GetQueue", 1, "200", 0.0, 0.1))

    (line,) = caplog.records
    assert (line.levelname, line.message) == (
        "ERROR",
        "a record could not be taken: AttemptEnded",
    )
    assert line.exc_info
    assert line.exc_info[0] is ValueError


def test_event_types_of_any_kind_and_number_leave_the_page_small() -> None:
    metrics = Metrics()
    observe = Telemetry(metrics).observe
    for number in range(3_000):
        observe(WebhookReceived("stored", f"type-{number}", 1, 0.0, 0.0))
    observe(WebhookReceived("stored", "t" * 100_000, 1, 0.0, 0.0))

    text = metrics.text().decode()
    assert text.count("gateway_events_total{") < 1_100
    assert 'gateway_events_total{type="other"}' in text
    assert "t" * 200 not in text
