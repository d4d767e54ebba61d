"""What is counted of requests to the provider."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.records.attempts import AttemptEnded
from gateway.telemetry.call_metrics import LATENCY_BUCKETS
from gateway.telemetry.instruments import Instruments

# Bounds of the buckets of waits for a turn, in seconds. Most do not wait; nobody waits longer than
# a call may take.
_WAIT_BUCKETS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Bounds of the buckets of pauses that the provider asks for, in seconds: its limits are by the
# second or the minute, an outage may be an hour.
_PAUSE_BUCKETS = (0.1, 1, 5, 15, 60, 300, 3_600)


@dataclass(frozen=True, slots=True)
class UpstreamGauges:
    """Where to look up what the requests to the provider are like."""

    in_flight: Callable[[], float]
    abandoned: Callable[[], float]
    waiting: Callable[[], float]
    # Seconds.
    stalled: Callable[[], float]
    # How many retries could be sent at once.
    retry_budget: Callable[[], float]


class UpstreamMetrics:
    """Counts requests to the provider."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._requests = instruments.counted(
            "gateway_upstream_requests",
            "Requests to the provider by operation, kind (first, retry or hedge) and outcome",
            "method",
            "kind",
            "outcome",
        )
        self._durations = instruments.measured(
            "gateway_upstream_request_duration_seconds",
            "How long requests to the provider took, without waiting for their turn",
            "method",
            "outcome",
            buckets=LATENCY_BUCKETS,
        )
        self._waits = instruments.measured(
            "gateway_upstream_wait_seconds",
            "How long requests to the provider waited for their turn",
            buckets=_WAIT_BUCKETS,
        )
        self._pauses = instruments.measured(
            "gateway_upstream_pause_seconds",
            "Pauses that the provider asked for after a failed request (Retry-After and the like)",
            "outcome",
            buckets=_PAUSE_BUCKETS,
        )

    def ended(self, attempt: AttemptEnded) -> None:
        """Count a request."""
        kind = "first" if attempt.number == 1 else "hedge" if attempt.is_hedge else "retry"
        operation, result = attempt.operation, attempt.result
        self._requests.add((operation, kind, result))
        self._durations.add((operation, result), attempt.seconds, attempt.trace_id)
        self._waits.add((), attempt.waited_s)
        if attempt.pause_s is not None:
            self._pauses.add((result,), attempt.pause_s)

    def watch(self, gauges: UpstreamGauges) -> None:
        """Show the state of the requests from now on."""
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
            (
                "retry_budget",
                "Retries that could be sent at once; at zero, calls fail without a retry",
                gauges.retry_budget,
            ),
        ):
            self._instruments.looked_up(f"gateway_upstream_{name}", text, value)
