"""A trace collector: takes OTLP over HTTP, and shows what it was sent.

Written on the standard library and the protocol's own messages, without the exporter that it hears.
"""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from tests.harness.readiness import until


class Collected:
    """A span as it was sent."""

    def __init__(self, span: SentSpan, resource: dict[str, Any]) -> None:
        self.span = span
        self.resource = resource
        self.name = span.name
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        self.kind = SentSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
        self.attributes = _values(span.attributes)
        self.failed = span.status.message if span.status.code else ""
        self.links = [(it.trace_id.hex(), it.span_id.hex()) for it in span.links]

    @property
    def seconds(self) -> float:
        return (self.span.end_time_unix_nano - self.span.start_time_unix_nano) / 1e9

    def lies_within(self, other: "Collected", slack_ns: int = 1_000_000) -> bool:
        one, two = self.span, other.span
        return (
            one.start_time_unix_nano >= two.start_time_unix_nano - slack_ns
            and one.end_time_unix_nano <= two.end_time_unix_nano + slack_ns
        )


class Collector:
    """Use as a context manager. `status` is what it responds with."""

    def __init__(self) -> None:
        self.status = 200
        self.spans: list[Collected] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        # Requests wait until it is set.
        self.responds = threading.Event()
        self.responds.set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.requests.append((self.path, headers))
                collector.responds.wait(30)
                if collector.status == 200:
                    collector.take(ExportTraceServiceRequest.FromString(body))
                told = ExportTraceServiceResponse().SerializeToString()
                self.send_response(collector.status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def named(self, name: str) -> list[Collected]:
        return [it for it in self.spans if it.name == name]

    def one(self, name: str) -> Collected:
        """Wait for the span of a name, of which there must be one."""
        until(lambda: bool(self.named(name)))
        (found,) = self.named(name)
        return found

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until(condition)

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            told = _values(resource.resource.attributes)
            self.spans += [
                Collected(span, told) for scope in resource.scope_spans for span in scope.spans
            ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.responds.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _values(attributes: Any) -> dict[str, Any]:
    found = {}
    for it in attributes:
        kind = it.value.WhichOneof("value")
        found[it.key] = getattr(it.value, kind) if kind else None
    return found
