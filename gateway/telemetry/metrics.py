"""Metrics in the Prometheus text format, named after gRFC A66 where that has a name."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily

from gateway.records.attempts import AttemptEnded
from gateway.records.backfill import DeliveryChecked, SweepEnded
from gateway.records.calls import CallEnded
from gateway.records.refusals import Refused, Subject
from gateway.records.webhooks import EventNoted, WebhookReceived
from gateway.telemetry.logs import LogCounts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Bounds of the latency buckets in seconds; A66 asks for finer ones than anybody looks at.
_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Kinds of webhooks that are told apart, and the longest event type: types are the provider's to
# invent, and may be anything. What is beyond is counted as `other`.
_SERIES_MAX = 1_000
_TYPE_MAX = 100


@dataclass(frozen=True, slots=True)
class FeedGauges:
    """Where to look up what the feed is like at the moment somebody asks."""

    subscribers: Callable[[], float]
    newest_sequence: Callable[[], float]
    held_events: Callable[[], float]
    # Seconds since 1970; zero while unknown.
    complete_until: Callable[[], float]
    # Seconds; zero while unknown.
    clock_ahead: Callable[[], float]


@dataclass(frozen=True, slots=True)
class UpstreamGauges:
    """Where to look up what the requests to the provider are like."""

    in_flight: Callable[[], float]
    abandoned: Callable[[], float]
    waiting: Callable[[], float]
    # Seconds.
    stalled: Callable[[], float]


class Questions(Protocol):
    """The questions to the provider about watched conferences."""

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many wait for their turn, by what they are for: always the same kinds."""

    @property
    def refused(self) -> int:
        """How many watches were refused because their turn would have come too late."""


class Buffers(Protocol):
    """What all buffers of the process hold together, and may hold, in bytes."""

    held: int
    limit: int
    # How often there was no room, so far.
    refused: int


class Metrics:
    """Counts what is reported to it. Each instance has a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        # Memory, descriptors and processor time, by the names that every program has for them.
        ProcessCollector(registry=self._registry)
        self._calls = Histogram(
            "grpc_server_call_duration_seconds",
            "How long RPCs took, from the whole request to the status",
            ("grpc_method", "grpc_status"),
            buckets=_LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._attempts = Counter(
            "gateway_upstream_requests",
            "Requests to the provider by operation, kind (first or retry) and outcome",
            ("method", "kind", "outcome"),
            registry=self._registry,
        )
        self._call_series: dict[tuple[str, str], Histogram] = {}
        self._attempt_series: dict[tuple[str, str, str], Counter] = {}
        self._webhooks = Counter(
            "gateway_webhooks",
            "Requests to the webhook address by outcome",
            ("outcome",),
            registry=self._registry,
        )
        self._webhook_series: dict[tuple[str, str], list[Counter]] = {}
        self._events = Counter(
            "gateway_events",
            "Events stored by type",
            ("type",),
            registry=self._registry,
        )
        self._notes = Counter(
            "gateway_event_notes",
            "Events that do not show all of their webhook as it was sent, by reason",
            ("reason",),
            registry=self._registry,
        )

        self._deliveries = Counter(
            "gateway_backfill_deliveries",
            "Deliveries examined by backfill, by outcome",
            ("outcome",),
            registry=self._registry,
        )
        self._sweeps = Counter(
            "gateway_backfill_sweeps",
            "Backfill sweeps by cause and outcome",
            ("cause", "outcome"),
            registry=self._registry,
        )

        self._refusals = Counter(
            "gateway_refusals",
            "Webhooks, calls and connections refused, by the limit or rule",
            ("subject", "kind"),
            registry=self._registry,
        )
        self._refusal_series: dict[tuple[Subject, str], Counter] = {}

    def refused(self, refused: Refused) -> None:
        """Count something refused."""
        key = (refused.subject, refused.kind)
        found = self._refusal_series.get(key)
        if found is None:
            found = self._refusal_series[key] = self._refusals.labels(*key)
        found.inc()

    def call_ended(self, call: CallEnded) -> None:
        """Count an RPC."""
        key = (call.method, call.status)
        # Looking up labels costs more than counting; there are few combinations of them.
        found = self._call_series.get(key)
        if found is None:
            found = self._call_series[key] = self._calls.labels(*key)
        found.observe(call.seconds)

    def attempt_ended(self, attempt: AttemptEnded) -> None:
        """Count a request to the provider."""
        key = (attempt.operation, "first" if attempt.number == 1 else "retry", attempt.result)
        found = self._attempt_series.get(key)
        if found is None:
            found = self._attempt_series[key] = self._attempts.labels(*key)
        found.inc()

    def webhook_received(self, received: WebhookReceived) -> None:
        """Count a request to the webhook address."""
        key = (received.result, received.event_type)
        found = self._webhook_series.get(key)
        if found is None:
            if len(self._webhook_series) >= _SERIES_MAX or len(received.event_type) > _TYPE_MAX:
                key = (received.result, "other")
            found = [self._webhooks.labels(received.result)]
            if received.result == "stored":
                found.append(self._events.labels(key[1]))
            self._webhook_series[key] = found
        for series in found:
            series.inc()

    def event_noted(self, noted: EventNoted) -> None:
        """Count an event that does not show its webhook as it was sent."""
        self._notes.labels(noted.reason).inc()

    def delivery_checked(self, checked: DeliveryChecked) -> None:
        """Count a delivery that backfill has examined."""
        self._deliveries.labels(checked.verdict.value).inc()

    def sweep_ended(self, ended: SweepEnded) -> None:
        """Count a sweep of backfill."""
        result = "succeeded" if ended.succeeded else "failed"
        self._sweeps.labels(ended.cause.value, result).inc()

    def watch_feed(self, gauges: FeedGauges) -> None:
        """Show the state of the feed from now on."""
        for name, text, value in (
            ("gateway_feed_subscribers", "Open subscriptions", gauges.subscribers),
            ("gateway_feed_newest_sequence", "Number of the newest event", gauges.newest_sequence),
            ("gateway_log_events", "Events stored in the log", gauges.held_events),
            (
                "gateway_backfill_complete_until_seconds",
                "Backfill watermark: Unix time before which no event is known to be missing",
                gauges.complete_until,
            ),
            (
                "gateway_clock_ahead_seconds",
                "How far the gateway's clock is ahead of the provider's, in seconds",
                gauges.clock_ahead,
            ),
        ):
            Gauge(name, text, registry=self._registry).set_function(value)

    def watch_upstream(self, gauges: UpstreamGauges) -> None:
        """Show the state of the requests to the provider from now on."""
        for name, text, value in (
            ("in_flight", "Requests to the provider in flight", gauges.in_flight),
            (
                "abandoned",
                "Requests to the provider in flight whose callers have gone",
                gauges.abandoned,
            ),
            ("waiting", "Requests to the provider waiting to be sent", gauges.waiting),
            (
                "stalled_seconds",
                "Seconds for which the maximum number has been in flight without a response",
                gauges.stalled,
            ),
        ):
            gauge = Gauge(f"gateway_upstream_{name}", text, registry=self._registry)
            gauge.set_function(value)

    def watch_questions(self, questions: Questions) -> None:
        """Show from now on how many questions about watched conferences wait for their turn."""
        waiting = Gauge(
            "gateway_watch_waiting",
            "Reads of watched conferences waiting for their turn, by kind",
            ("kind",),
            registry=self._registry,
        )
        for kind in questions.waiting:
            waiting.labels(kind).set_function(partial(_waiting, questions, kind))
        text = "Watches rejected because their turn would have come too late"
        self._registry.register(_Kept("gateway_watch_refused", text, lambda: questions.refused))

    def watch_buffers(self, buffers: Buffers) -> None:
        """Show from now on what is held in all buffers together."""
        for name, text, value in (
            ("bytes", "Bytes in all buffers together", lambda: buffers.held),
            (
                "bytes_max",
                "Size of all buffers above which new work is rejected",
                lambda: buffers.limit,
            ),
        ):
            gauge = Gauge(f"gateway_buffered_{name}", text, registry=self._registry)
            gauge.set_function(value)
        text = "Work rejected because the buffers were full"
        self._registry.register(_Kept("gateway_buffers_refused", text, lambda: buffers.refused))

    def watch_certificates(self, expiries: Mapping[str, Callable[[], float]]) -> None:
        """Show from now on when the certificate of each address expires, by the address's name."""
        gauge = Gauge(
            "gateway_certificate_expiry_seconds",
            "Unix time at which the certificate expires that an address is served with",
            ("address",),
            registry=self._registry,
        )
        for address, expiry in expiries.items():
            gauge.labels(address).set_function(expiry)

    def watch_logs(self, counts: LogCounts | None) -> None:
        """Show from now on how many log records have no line of their own, if that is counted."""
        if counts is None:
            return
        for name, text, value in (
            (
                "gateway_log_lines_counted",
                "Log records merged into another line of their kind",
                lambda: counts.counted,
            ),
            (
                "gateway_log_lines_dropped",
                "Log lines dropped because nobody read them or they could not be written",
                lambda: counts.dropped,
            ),
        ):
            self._registry.register(_Kept(name, text, value))

    def text(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self._registry)


def _waiting(questions: Questions, kind: str) -> float:
    return questions.waiting[kind]


class _Kept:
    """A counter that is kept elsewhere."""

    def __init__(self, name: str, text: str, value: Callable[[], float]) -> None:
        self._name = name
        self._text = text
        self._value = value

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See `prometheus_client.registry.Collector`."""
        yield CounterMetricFamily(self._name, self._text, value=self._value())
