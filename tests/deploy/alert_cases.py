"""For each alert, series with which it must fire and others with which it must not.

Series are written as promtool takes them, a value for each minute from 1970 on: `0+5x90` begins at
0 and grows by 5 for 90 minutes. Each case is looked at after an hour and a half.
"""

from collections.abc import Mapping
from typing import NamedTuple

Series = Mapping[str, str]


class Case(NamedTuple):
    """What the firing alert is labelled with, beside its instance, and the series."""

    labels: Mapping[str, str]
    fires: Series
    silent: Series


NONE: Mapping[str, str] = {}
CONSTANT, GROWS = "7x120", "0+1x120"


def _component(name: str) -> Case:
    series = f'gateway_component_ready{{component="{name}"}}'
    return Case({"component": name}, {series: "0x120"}, {series: "1x120"})


def _counted(series: str, **labels: str) -> Case:
    return Case(labels, {series: GROWS}, {series: CONSTANT})


def _quantile(name: str) -> Case:
    slow = {f'{name}_bucket{{le="{it}"}}': "0+10x120" for it in ("2.5", "+Inf")}
    quick = {f'{name}_bucket{{le="{it}"}}': "0+10x120" for it in ("0.01", "1", "2.5", "+Inf")}
    return Case(NONE, {**slow, f'{name}_bucket{{le="1"}}': "0x120"}, quick)


_ENDED = "grpc_server_call_duration_seconds_count"
_MIB = 2**20

CASES: Mapping[str, Case] = {
    "GatewayCannotStoreEvents": _counted('gateway_webhooks_total{outcome="log_unavailable"}'),
    "GatewayLogNotWritable": _component("event_log"),
    "GatewayCommitsSlow": _quantile("gateway_log_append_duration_seconds"),
    "GatewayFeedIncomplete": Case(
        NONE,
        {"gateway_backfill_complete_until_seconds": "100x120"},
        # Seven minutes behind. Where backfill is off, it is zero and no alarm.
        {
            "gateway_backfill_complete_until_seconds": "-420+60x120",
            'gateway_backfill_complete_until_seconds{instance="off"}': "0x120",
        },
    ),
    "GatewayBackfillFails": Case(
        NONE,
        {
            'gateway_backfill_sweeps_total{outcome="failed"}': GROWS,
            'gateway_backfill_sweeps_total{outcome="succeeded"}': CONSTANT,
        },
        {
            'gateway_backfill_sweeps_total{outcome="failed"}': GROWS,
            'gateway_backfill_sweeps_total{outcome="succeeded"}': GROWS,
        },
    ),
    "GatewayWebhooksMissed": _counted('gateway_backfill_deliveries_total{outcome="stored"}'),
    "GatewayEventsUnreadable": _counted('gateway_backfill_deliveries_total{outcome="unreadable"}'),
    "GatewaySubscriberLostEvents": _counted(
        f'{_ENDED}{{grpc_method="m",grpc_status="OUT_OF_RANGE"}}', grpc_method="m"
    ),
    "GatewaySubscriberBehind": Case(
        {"caller": "c"},
        {'gateway_feed_backlog_events{caller="c"}': "20000x120"},
        {'gateway_feed_backlog_events{caller="c"}': "900x120"},
    ),
    "GatewaySubscriberNearsLoss": Case(
        {"caller": "c"},
        {
            'gateway_feed_backlog_events{caller="c"}': "60000x120",
            'gateway_feed_backlog_events{caller="quick"}': "6x120",
            "gateway_log_events": "100000x120",
        },
        {
            'gateway_feed_backlog_events{caller="c"}': "40000x120",
            "gateway_log_events": "100000x120",
            # A log that has just begun is read from its beginning by everybody.
            'gateway_feed_backlog_events{caller="c",instance="new"}': "900x120",
            'gateway_log_events{instance="new"}': "1000x120",
        },
    ),
    "GatewayFeedLate": _quantile("gateway_feed_lag_seconds"),
    "GatewaySignaturesRejected": Case(
        NONE,
        {
            'gateway_webhooks_total{outcome="signature_mismatch"}': GROWS,
            'gateway_webhooks_total{outcome="stored"}': CONSTANT,
        },
        # Anybody can post what is not signed.
        {
            'gateway_webhooks_total{outcome="signature_mismatch"}': "0+99x120",
            'gateway_webhooks_total{outcome="stored"}': GROWS,
        },
    ),
    "GatewayClockWrong": Case(
        NONE,
        {"gateway_clock_ahead_seconds": "-90x120"},
        {"gateway_clock_ahead_seconds": "-5x120"},
    ),
    "GatewayKeyRejected": _component("api_key"),
    "GatewayProviderUnavailable": _component("provider"),
    "GatewayRateLimited": Case(
        NONE,
        {'gateway_upstream_requests_total{outcome="429",method="m"}': "0+60x120"},
        {'gateway_upstream_requests_total{outcome="429",method="m"}': GROWS},
    ),
    "GatewayCommandsFail": Case(
        NONE,
        {
            f'{_ENDED}{{grpc_status="UNAVAILABLE"}}': "0+10x120",
            f'{_ENDED}{{grpc_status="OK"}}': "0+50x120",
        },
        {
            f'{_ENDED}{{grpc_status="NOT_FOUND"}}': "0+50x120",
            f'{_ENDED}{{grpc_status="OK"}}': "0+50x120",
        },
    ),
    "GatewayUpstreamFull": Case(
        NONE, {"gateway_upstream_waiting": "200x120"}, {"gateway_upstream_waiting": "5x120"}
    ),
    "GatewayDiskFull": Case(
        NONE,
        {
            "gateway_log_disk_free_bytes": f"{100 * _MIB}x120",
            "gateway_log_size_bytes": f"{10 * _MIB}x120",
            "gateway_log_size_max_bytes": f"{100 * _MIB}x120",
        },
        # It has reached its size: it needs no more than what is beside it.
        {
            "gateway_log_disk_free_bytes": f"{40 * _MIB}x120",
            "gateway_log_size_bytes": f"{101 * _MIB}x120",
            "gateway_log_size_max_bytes": f"{100 * _MIB}x120",
        },
    ),
    "GatewayBuffersFull": _counted("gateway_buffers_refused_total"),
    "GatewayRefusesCallers": Case(
        {"subject": "call", "kind": "K"},
        {'gateway_refusals_total{subject="call",kind="K"}': "0+120x120"},
        {
            'gateway_refusals_total{subject="call",kind="K"}': GROWS,
            'gateway_refusals_total{subject="webhook",kind="K"}': "0+120x120",
        },
    ),
    "GatewayBackgroundWorkEnded": _component("background_work"),
    "GatewayCertificateExpires": Case(
        {"address": "grpc"},
        {'gateway_certificate_expiry_seconds{address="grpc"}': f"{86_400}x120"},
        {'gateway_certificate_expiry_seconds{address="grpc"}': f"{30 * 86_400}x120"},
    ),
    "GatewayLogOutputLost": _counted("gateway_log_lines_dropped_total"),
}
