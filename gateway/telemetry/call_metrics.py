"""What is counted of calls, under the names that every gRPC server has for it (gRFC A66)."""

from collections import Counter
from collections.abc import Callable, Mapping

from gateway.records.calls import CallEnded
from gateway.telemetry.instruments import Instruments

# Bounds of the buckets of durations, in seconds; A66 asks for finer ones than anybody looks at.
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# Bounds of the buckets of sizes, in bytes. Commands are smaller than the first few, pages are in
# the middle, and streams may send any amount.
SIZE_BUCKETS = (128, 512, 2**10, 2**12, 2**14, 2**16, 2**18, 2**20, 2**22, 2**26, 2**30)


class CallMetrics:
    """Counts calls. Nothing is compressed, so the sizes are those of the messages."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        labels = ("grpc_method", "grpc_status")
        self._durations = instruments.measured(
            "grpc_server_call_duration_seconds",
            "How long RPCs took, from their beginning to the status",
            *labels,
            buckets=LATENCY_BUCKETS,
        )
        self._sent = instruments.measured(
            "grpc_server_call_sent_total_compressed_message_size_bytes",
            "Size of all response messages of an RPC",
            *labels,
            buckets=SIZE_BUCKETS,
        )
        self._received = instruments.measured(
            "grpc_server_call_rcvd_total_compressed_message_size_bytes",
            "Size of the request message of an RPC",
            *labels,
            buckets=SIZE_BUCKETS,
        )
        self._by_caller = instruments.counted(
            "gateway_calls", "RPCs by caller and status", "caller", "grpc_status"
        )
        self._ended: Counter[str] = Counter()

    def ended(self, call: CallEnded) -> None:
        """Count an RPC."""
        method, status = call.method, call.status
        labels = (method, status)
        self._ended[method] += 1
        self._durations.add(labels, call.seconds, call.trace_id)
        self._sent.add(labels, call.sent_bytes)
        self._received.add(labels, call.received_bytes)
        self._by_caller.add((call.caller, status))

    def watch(self, in_flight: Callable[[], Mapping[str, int]]) -> None:
        """Show from now on how many have begun: those that have ended, and those in flight.

        `in_flight` counts the latter by method.
        """

        def started() -> Mapping[str, float]:
            return self._ended + Counter(in_flight())

        self._instruments.kept_by("grpc_server_call_started", "RPCs begun", "grpc_method", started)
