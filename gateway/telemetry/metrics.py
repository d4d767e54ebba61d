"""Metrics for Prometheus, named after gRFC A66 where that has a name: made of records."""

from collections.abc import Callable, Mapping
from typing import Protocol

from gateway.records.attempts import AttemptEnded
from gateway.records.backfill import DeliveryChecked, SweepEnded
from gateway.records.calls import CallEnded
from gateway.records.commits import CommitEnded
from gateway.records.deliveries import RoundEnded
from gateway.records.refusals import Refused
from gateway.records.webhooks import EventNoted, WebhookReceived
from gateway.telemetry.call_metrics import CallMetrics
from gateway.telemetry.feed_metrics import FeedGauges, FeedMetrics, LogGauges
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.logs import Logs
from gateway.telemetry.tracing import SpanCounts
from gateway.telemetry.upstream_metrics import UpstreamGauges, UpstreamMetrics

# Bounds of the buckets of sweeps, in seconds: most are a request, the longest a quarter of an hour.
_SWEEP_BUCKETS = (0.1, 0.5, 1, 5, 15, 60, 300, 900)


class Questions(Protocol):
    """The questions to the provider about watched conferences."""

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many wait for their turn, by what they are for: always the same kinds."""

    @property
    def refused(self) -> int:
        """How many watches were refused because their turn would have come too late."""


class SharedCommands(Protocol):
    """What the gateways on one log tell each other of accepted commands: how many messages."""

    @property
    def received(self) -> int:
        """How many came from others."""

    @property
    def rejected(self) -> int:
        """How many came and could not be used."""

    @property
    def dropped(self) -> int:
        """How many were not sent."""


class InFlight(Protocol):
    """The calls that have begun and not ended."""

    @property
    def by_method(self) -> Mapping[str, int]:
        """How many there are, by method."""


class Buffers(Protocol):
    """What all buffers of the process hold together, and may hold, in bytes."""

    held: int
    limit: int
    # How often there was no room, so far.
    refused: int


class Metrics:
    """Counts what is reported to it. Each one has instruments of its own."""

    def __init__(self) -> None:
        self.instruments = made = Instruments()
        self._calls = CallMetrics(made)
        self._upstream = UpstreamMetrics(made)
        self._feed = FeedMetrics(made)
        self._deliveries = made.counted(
            "gateway_backfill_deliveries", "Deliveries examined by backfill, by outcome", "outcome"
        )
        self._sweeps = made.counted(
            "gateway_backfill_sweeps", "Backfill sweeps by cause and outcome", "cause", "outcome"
        )
        self._sweep_durations = made.measured(
            "gateway_backfill_sweep_duration_seconds",
            "How long backfill sweeps took",
            "outcome",
            buckets=_SWEEP_BUCKETS,
        )
        self._refusals = made.counted(
            "gateway_refusals",
            "Webhooks, calls and connections refused, by the limit or rule",
            "subject",
            "kind",
        )
        # Callers are named by the callers file, and limits by the code: there are few of both.
        self._limited = made.counted(
            "gateway_caller_limited",
            "Calls refused because their caller was at a limit of its own",
            "caller",
            "limit",
        )

    def refused(self, refused: Refused) -> None:
        """Count something refused."""
        self._refusals.add((refused.subject, refused.kind))

    def caller_limited(self, caller: str, limit: str) -> None:
        """Count a call refused for a limit of its caller."""
        self._limited.add((caller, limit))

    def call_ended(self, call: CallEnded) -> None:
        """Count an RPC."""
        self._calls.ended(call)

    def attempt_ended(self, attempt: AttemptEnded) -> None:
        """Count a request to the provider."""
        self._upstream.ended(attempt)

    def webhook_received(self, received: WebhookReceived) -> None:
        """Count a request to the webhook address."""
        self._feed.webhook_received(received)

    def event_noted(self, noted: EventNoted) -> None:
        """Count an event that does not show its webhook as it was sent."""
        self._feed.event_noted(noted)

    def commit_ended(self, commit: CommitEnded) -> None:
        """Count a commit to the log."""
        self._feed.commit_ended(commit)

    def round_ended(self, round_: RoundEnded) -> None:
        """Count a delivery of new events to streams."""
        self._feed.round_ended(round_)

    def delivery_checked(self, checked: DeliveryChecked) -> None:
        """Count a delivery that backfill has examined."""
        self._deliveries.add((checked.verdict.value,))

    def sweep_ended(self, ended: SweepEnded) -> None:
        """Count a sweep of backfill."""
        result = "succeeded" if ended.succeeded else "failed"
        self._sweeps.add((ended.cause.value, result))
        self._sweep_durations.add((result,), ended.seconds)

    def watch_calls(self, in_flight: InFlight) -> None:
        """Show from now on how many calls have begun."""
        self._calls.watch(lambda: in_flight.by_method)

    def watch_feed(self, gauges: FeedGauges) -> None:
        """Show the state of the feed from now on."""
        self._feed.watch_feed(gauges)

    def watch_log(self, gauges: LogGauges) -> None:
        """Show the state of the log from now on."""
        self._feed.watch_log(gauges)

    def watch_upstream(self, gauges: UpstreamGauges) -> None:
        """Show the state of the requests to the provider from now on."""
        self._upstream.watch(gauges)

    def watch_questions(self, questions: Questions) -> None:
        """Show from now on how many questions about watched conferences wait for their turn."""
        self.instruments.looked_up_by(
            "gateway_watch_waiting",
            "Reads of watched conferences waiting for their turn, by kind",
            "kind",
            lambda: questions.waiting,
        )
        text = "Watches rejected because their turn would have come too late"
        self.instruments.kept("gateway_watch_refused", text, lambda: questions.refused)

    def watch_shared_commands(self, shared: SharedCommands) -> None:
        """Show from now on what gateways tell each other of accepted commands."""
        made = self.instruments
        text = "Accepted commands that other gateways on the log have told of"
        made.kept("gateway_shared_commands_received", text, lambda: shared.received)
        text = "Messages about accepted commands that could not be used"
        made.kept("gateway_shared_commands_rejected", text, lambda: shared.rejected)
        text = "Accepted commands that other gateways on the log were not told of"
        made.kept("gateway_shared_commands_dropped", text, lambda: shared.dropped)

    def watch_components(self, works: Mapping[str, Callable[[], bool]]) -> None:
        """Show from now on which components work, by name."""
        self.instruments.looked_up_by(
            "gateway_component_ready",
            "Whether a component works: 1, or 0 if not",
            "component",
            lambda: {name: working() for name, working in works.items()},
        )

    def watch_certificates(self, expiries: Mapping[str, Callable[[], float]]) -> None:
        """Show from now on when the certificate of each address expires, by the address's name."""
        self.instruments.looked_up_by(
            "gateway_certificate_expiry_seconds",
            "Unix time at which the certificate expires that an address is served with",
            "address",
            lambda: {address: expiry() for address, expiry in expiries.items()},
        )

    def watch_buffers(self, buffers: Buffers) -> None:
        """Show from now on what is held in all buffers together."""
        made = self.instruments
        text = "Bytes in all buffers together"
        made.looked_up("gateway_buffered_bytes", text, lambda: buffers.held)
        text = "Size of all buffers above which new work is rejected"
        made.looked_up("gateway_buffered_bytes_max", text, lambda: buffers.limit)
        text = "Work rejected because the buffers were full"
        made.kept("gateway_buffers_refused", text, lambda: buffers.refused)

    def watch_logs(self, logs: Logs | None) -> None:
        """Show from now on how many log records have no line of their own, if that is counted."""
        if logs is None:
            return
        text = "Log records merged into another line of their kind"
        self.instruments.kept("gateway_log_lines_counted", text, lambda: logs.counted)
        text = "Log lines dropped because nobody read them or they could not be written"
        self.instruments.kept("gateway_log_lines_dropped", text, lambda: logs.dropped)

    def watch_traces(self, counts: SpanCounts) -> None:
        """Show from now on what became of spans."""
        made = self.instruments
        text = "Spans that the trace collector has accepted"
        made.kept("gateway_trace_spans_exported", text, lambda: counts.exported)
        text = "Spans dropped because too many were waiting to be exported"
        made.kept("gateway_trace_spans_dropped_by_queue", text, lambda: counts.dropped_by_queue)
        text = "Spans dropped because the trace collector rejected them or did not respond"
        made.kept("gateway_trace_spans_dropped_by_export", text, lambda: counts.dropped_by_export)

    def text(self, *, openmetrics: bool = False) -> bytes:
        """Return all metrics as text, in the OpenMetrics format or in the older one."""
        return self.instruments.page(openmetrics=openmetrics)
