"""Traces by OpenTelemetry's SDK, the only module that imports it (the extra `otel`).

The SDK is given each span when it has ended, with the ids that it has had from its beginning. From
the SDK come the sampler, the limits of spans, the queue, and the exporter, each as its environment
variables want it. Ours are the counts of what is lost, and words for it that do not come from a
library: its errors may quote what must stay secret.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, time_ns
from typing import Any

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from gateway.telemetry.spans import EndedSpan, Kind
from gateway.telemetry.tracing import LAST_SPANS_S
from gateway.tracecontext import (
    RANDOM,
    SAMPLED,
    Span,
    TraceContext,
    new_span_id,
    new_trace_id,
)

_SERVICE = "telnyx-grpc-gateway"

# What the SDK calls a service that nobody has named.
_UNNAMED = "unknown_service"

# How many spans may wait to be exported, where nothing is set: the SDK's own number.
_QUEUE_SIZE = "OTEL_BSP_MAX_QUEUE_SIZE"
_QUEUE_MAX = 2_048

# How often a collector that takes nothing is worth a line, in seconds.
_LINE_EVERY_S = 60.0

# How long a request that was told to end at the end may take to do so, in seconds.
_LAST_S = 0.5

# Tells of each attempt to reach a collector that is not there.
_TALKATIVE = "opentelemetry.exporter.otlp.proto.http.trace_exporter"

_KINDS = {
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.INTERNAL: SpanKind.INTERNAL,
}

_log = logging.getLogger(__name__)


class OtelTraces:
    """See `tracing.Traces`. Called from one thread.

    `why` says how the last request to the collector has ended. `now` is the clock by which records
    have begun, in seconds, `wall_ns` the time since 1970, in nanoseconds.
    """

    def __init__(
        self,
        resource: Resource,
        exporter: SpanExporter,
        sampler: Sampler,
        why: Callable[[], str],
        queue_max: int = _QUEUE_MAX,
        now: Callable[[], float] = monotonic,
        wall_ns: Callable[[], int] = time_ns,
    ) -> None:
        self._sampler = sampler
        self._now = now
        self._wall_ns = wall_ns
        self._ids = _GivenIds()
        self._exporter = _CountedExporter(exporter, why, now)
        self._queue = _CountedQueue(self._exporter, queue_max)
        # What comes here is sampled already.
        self._provider = TracerProvider(ALWAYS_ON, resource, False, id_generator=self._ids)
        self._provider.add_span_processor(self._queue)
        self._tracer = self._provider.get_tracer("gateway")

    @classmethod
    def of(
        cls, env: Mapping[str, str], version: str, now: Callable[[], float] = monotonic
    ) -> "OtelTraces":
        """Return what the environment wants, which the SDK reads itself.

        Raises ValueError or OSError for what it does not take.
        """
        session = _Session()
        exporter = OTLPSpanExporter(session=session)
        logging.getLogger(_TALKATIVE).setLevel(logging.CRITICAL)
        sampler = TracerProvider(shutdown_on_exit=False).sampler
        resource = _resource(version)
        return cls(resource, exporter, sampler, lambda: session.ended, _queue_max(env), now)

    @property
    def exported(self) -> int:
        """See `SpanCounts`."""
        return self._exporter.exported

    @property
    def dropped_by_queue(self) -> int:
        """See `SpanCounts`."""
        return self._queue.dropped

    @property
    def dropped_by_export(self) -> int:
        """See `SpanCounts`."""
        return self._exporter.failed

    def begin(self, received: TraceContext | None, name: str) -> Span:
        """See `Traces`. The sampler decides here, once for all that is done for it."""
        trace_id = new_trace_id() if received is None else received.trace_id
        asked = None if received is None else _PARENTS[received.is_sampled]
        # The SDK's samplers look at the trace's id and the parent's flags.
        result = self._sampler.should_sample(asked, int(trace_id, 16), name, SpanKind.SERVER)
        is_sampled = result.decision is Decision.RECORD_AND_SAMPLE
        if received is None:
            flags = RANDOM | SAMPLED if is_sampled else RANDOM
            return Span(TraceContext(trace_id, new_span_id(), flags), None, is_sampled)
        if not is_sampled and not received.is_sampled:
            return Span(received)
        flags = (received.flags & RANDOM) | (SAMPLED if is_sampled else 0)
        context = received._replace(span_id=new_span_id(), flags=flags)
        return Span(context, received, is_sampled)

    def take(self, ended: EndedSpan) -> None:
        """See `Traces`."""
        self._ids.context = ended.span.context
        began_ns = self._wall_ns() - round((self._now() - ended.began) * 1e9)
        parent = ended.span.parent
        span = self._tracer.start_span(
            ended.name,
            Context() if parent is None else _around(parent, ended.kind is Kind.SERVER),
            _KINDS[ended.kind],
            ended.attributes,
            [Link(_told(it, is_remote=True)) for it in ended.links],
            began_ns,
        )
        if ended.failed:
            span.set_status(Status(StatusCode.ERROR, ended.failed))
        span.end(began_ns + round(ended.seconds * 1e9))

    def close(self, within_s: float = LAST_SPANS_S) -> None:
        """See `Traces`."""
        closing = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(within_s)
        if closing.is_alive():
            # It waits for a collector that does not respond: that ends now.
            self._exporter.give_up()
            closing.join(_LAST_S)


class _GivenIds(IdGenerator):
    """Gives a span the ids that it has had from its beginning."""

    context = TraceContext("", "")

    def generate_span_id(self) -> int:
        return int(self.context.span_id, 16)

    def generate_trace_id(self) -> int:
        return int(self.context.trace_id, 16)

    def is_trace_id_random(self) -> bool:
        return bool(self.context.flags & RANDOM)


class _CountedExporter(SpanExporter):
    """Exports in the SDK's thread, and counts what becomes of it."""

    def __init__(
        self, inner: SpanExporter, why: Callable[[], str], now: Callable[[], float]
    ) -> None:
        self._inner = inner
        self._why = why
        self._now = now
        self._told_at: float | None = None
        self._given_up = False
        # How many it was given, ...
        self.taken = 0
        # ... and what became of them.
        self.exported = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result, why = self._export(spans)
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
            if self._told_at is not None:
                self._told_at = None
                _log.info("traces are exported again")
        else:
            self.failed += len(spans)
            self._tell(why)
        return result

    def _export(self, spans: Sequence[ReadableSpan]) -> tuple[SpanExportResult, str]:
        """Return what became of spans, and why they were not exported if they were not."""
        if self._given_up:
            return SpanExportResult.FAILURE, "the gateway ends"
        try:
            result = self._inner.export(spans)
        except Exception as error:  # whose text may hold anything
            return SpanExportResult.FAILURE, type(error).__name__
        return result, self._why()

    def shutdown(self) -> None:
        if not self._given_up:
            self._inner.shutdown()

    def give_up(self) -> None:
        """Export nothing more, and end what is being exported."""
        self._given_up = True
        self._inner.shutdown()

    def _tell(self, why: str) -> None:
        now = self._now()
        if self._told_at is None or now - self._told_at >= _LINE_EVERY_S:
            self._told_at = now
            text = "traces cannot be exported (%s): %d spans have been dropped so far"
            _log.warning(text, why, self.failed)


class _CountedQueue(BatchSpanProcessor):
    """The SDK's queue, which would drop the oldest span silently, and say so in many lines."""

    def __init__(self, exporter: _CountedExporter, size_max: int) -> None:
        super().__init__(exporter, max_queue_size=size_max)
        self._exporter = exporter
        self._size_max = size_max
        self._given = 0
        self.dropped = 0

    def on_end(self, span: ReadableSpan) -> None:
        if self._given - self._exporter.taken >= self._size_max:
            self.dropped += 1
            return
        self._given += 1
        super().on_end(span)


class _Session(requests.Session):
    """Requests to the collector, and how the last one ended, without any text of others.

    What the environment says of proxies and passwords (`.netrc`) is for programs, not for these.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.ended = "nothing was sent"

    def request(self, *args: Any, **named: Any) -> requests.Response:
        try:
            response = super().request(*args, **named)
        except requests.RequestException as error:
            self.ended = type(error).__name__
            raise
        self.ended = f"HTTP {response.status_code}"
        return response


def _told(context: TraceContext, *, is_remote: bool) -> SpanContext:
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        is_remote,
        TraceFlags(context.flags),
        TraceState.from_header([context.state]) if context.state else TraceState(),
    )


def _around(parent: TraceContext, is_remote: bool) -> Context:
    return set_span_in_context(NonRecordingSpan(_told(parent, is_remote=is_remote)), Context())


# Parents as samplers see them: by their flags.
_PARENTS = {
    is_sampled: _around(TraceContext("1" * 32, "1" * 16, int(is_sampled)), True)
    for is_sampled in (False, True)
}


def _resource(version: str) -> Resource:
    """Return what the environment says of this service, and what it does not say."""
    resource = Resource.create({SERVICE_VERSION: version})
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith(_UNNAMED):
        resource = resource.merge(Resource({SERVICE_NAME: _SERVICE}))
    return resource


def _queue_max(env: Mapping[str, str]) -> int:
    text = env.get(_QUEUE_SIZE, "").strip()
    return int(text) if text else _QUEUE_MAX
