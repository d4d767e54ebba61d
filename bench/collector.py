"""A trace collector for the benchmarks: takes spans over OTLP/HTTP and counts them.

Run as `python -m bench.collector`; prints the port it listens on, then the number of spans so far
for each line of its input, and ends with that.
"""

import asyncio
import sys

import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.processes import announce_port

_ACCEPTED = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Spans:
    """How many have come."""

    def __init__(self) -> None:
        self.count = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection until it ends."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split()[0])
                request = ExportTraceServiceRequest.FromString(await reader.readexactly(length))
                self.count += sum(
                    len(scope.spans)
                    for resource in request.resource_spans
                    for scope in resource.scope_spans
                )
                writer.write(_ACCEPTED)
        except asyncio.IncompleteReadError:
            writer.close()


async def _main() -> None:
    spans = Spans()
    server = await asyncio.start_server(spans.take, "127.0.0.1", 0)
    announce_port(server.sockets[0].getsockname()[1])
    while await asyncio.to_thread(sys.stdin.readline):
        print(spans.count, flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
