"""Traces: whether they are made at all, and what makes them.

What is set is OpenTelemetry's own (opentelemetry.io, "SDK environment variables"): traces are on
where an endpoint for them is. Nothing of OpenTelemetry is imported before that.
"""

import importlib.util
import logging
from collections.abc import Mapping
from typing import Protocol

from gateway.telemetry.spans import EndedSpan
from gateway.tracecontext import Span, TraceContext, passed_on

# Either says where spans go.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

# Either says how; the first one that is set does.
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OUR_PROTOCOL = "http/protobuf"

# How long spans that have not been exported have for it at the end, in seconds.
LAST_SPANS_S = 3.0

_EXPORTER = "OTEL_TRACES_EXPORTER"
_DISABLED = "OTEL_SDK_DISABLED"

# What the extra brings.
_SDK, _OTLP = "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"
_INSTALL = "pip install 'telnyx-grpc-gateway[otel]'"

_log = logging.getLogger(__name__)


class SpanCounts(Protocol):
    """What became of spans."""

    @property
    def exported(self) -> int:
        """How many the collector has taken."""

    @property
    def dropped_by_queue(self) -> int:
        """How many there was no room for while others waited to be exported."""

    @property
    def dropped_by_export(self) -> int:
        """How many the collector has not taken, or could not be reached for."""


class Traces(SpanCounts, Protocol):
    """Begins spans, and exports those that are sampled when they have ended."""

    def begin(self, received: TraceContext | None, name: str) -> Span | None:
        """Begin the span of work that came with a context; see `tracecontext.Begin`."""

    def take(self, ended: EndedSpan) -> None:
        """Export a span, sometime: never waits, and drops it if too many wait already."""

    def close(self, within_s: float = LAST_SPANS_S) -> None:
        """Export what waits, and give up after some seconds. What comes later is dropped."""


class NoTraces:
    """Makes no traces, and lets those of others pass."""

    exported = dropped_by_queue = dropped_by_export = 0

    def begin(self, received: TraceContext | None, name: str) -> Span | None:
        """Begin nothing: the context that came goes on as it is."""
        return passed_on(received, name)

    def take(self, ended: EndedSpan) -> None:
        """See `Traces`."""

    def close(self, within_s: float = LAST_SPANS_S) -> None:
        """See `Traces`."""


def traces_of(env: Mapping[str, str], version: str) -> Traces:
    """Return what makes traces as the environment wants it.

    `version` is the gateway's. What is wrong with the settings is logged: commands and events do
    not depend on traces.
    """
    if not _wanted(env):
        return NoTraces()
    protocol = next((text for it in _PROTOCOLS if (text := _text(env, it))), _OUR_PROTOCOL)
    if protocol != _OUR_PROTOCOL:
        _log.warning(
            "traces are exported by %s and not by %.40r: the endpoint must take that (port 4318)",
            _OUR_PROTOCOL,
            protocol,
        )
    if not _is_installed():
        _log.warning("traces are off, although an endpoint is set: %s", _INSTALL)
        return NoTraces()
    from gateway.telemetry.otel import OtelTraces  # noqa: PLC0415 - off costs nothing

    try:
        return OtelTraces.of(env, version)
    except (OSError, ValueError) as error:
        _log.error("traces are off: OpenTelemetry does not take its settings: %s", error)
        return NoTraces()


def _wanted(env: Mapping[str, str]) -> bool:
    if not any(_text(env, it) for it in ENDPOINTS):
        return False
    exporter = _text(env, _EXPORTER)
    if exporter and "otlp" not in exporter.split(","):
        if exporter != "none":
            _log.warning("traces are off: %s is %.40r, and only otlp is known", _EXPORTER, exporter)
        return False
    return _text(env, _DISABLED) != "true"


def _text(env: Mapping[str, str], name: str) -> str:
    return env.get(name, "").strip().lower()


def _is_installed() -> bool:
    try:
        return all(importlib.util.find_spec(it) is not None for it in (_SDK, _OTLP))
    except ModuleNotFoundError:  # not even the package above it
        return False
