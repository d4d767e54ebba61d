"""The naive feed: a bare `grpc.aio` server that writes each event as a message of its own.

The messages lie ready in memory; nothing is received, stored, looked up or encoded. What it does
for each event is one `context.write`, as nearly every streaming server in Python does.

Run as `python -m bench.feed.bare_server PORT`; it answers orders (see `remote`).
"""

import asyncio
import sys
from time import monotonic

import grpc
import uvloop

from bench.feed import webhooks
from bench.feed.remote import answer_orders
from bench.feed.webhooks import Template
from conferencing.v1.event_service_pb2 import SubscribeResponse
from gateway.events.cursor import Cursor
from gateway.events.frames import event_frame, joined

_EPOCH = b"the bare"


class BareFeed(grpc.GenericRpcHandler):
    """Streams prepared events to everybody, beginning at a word."""

    def __init__(self) -> None:
        self._templates = [Template.of(0), Template.of(1)]
        self._messages: list[bytes] = []
        self._go = asyncio.Event()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.unary_stream_rpc_method_handler(self._subscribe)

    async def load(self, first: int, count: int) -> None:
        """Prepare the events with these numbers, as the first of a log."""
        self._go.clear()
        self._messages = [
            joined(
                [event_frame(self._encoded(first + index), index + 1, _cursor(index + 1))],
                SubscribeResponse(cursor=_cursor(index + 1), live=True).SerializeToString(),
            )
            for index in range(count)
        ]

    async def go(self) -> float:
        """Begin to send; returns when that was."""
        self._go.set()
        return monotonic()

    def _encoded(self, number: int) -> bytes:
        return self._templates[number % 2].with_number(number, webhooks.CONFERENCES)[0]

    async def _subscribe(
        self, _request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]"
    ) -> None:
        await context.write(SubscribeResponse(cursor=_cursor(0)).SerializeToString())
        await self._go.wait()
        for message in self._messages:
            await context.write(message)
        # The streams of the gateway stay open too.
        await asyncio.Event().wait()


def _cursor(sequence: int) -> str:
    return str(Cursor(_EPOCH, sequence))


async def _main(port: str) -> None:
    server = grpc.aio.server()
    feed = BareFeed()
    server.add_generic_rpc_handlers((feed,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await answer_orders({"load": feed.load, "go": feed.go})
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
