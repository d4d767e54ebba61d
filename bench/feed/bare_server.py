"""A naive feed: a bare `grpc.aio` server that writes each event as a message of its own.

The messages lie ready in memory; nothing is received, stored, looked up or encoded. What it does
for each event is one `context.write`, as nearly every streaming server in Python does. It can be
made to do wrong, too, to see whether clients notice (see `faults`).

Run as `python -m bench.feed.bare_server PORT`; it answers orders (see `remote`).
"""

import asyncio
import sys
from time import monotonic

import grpc
import uvloop

from bench.feed import webhooks
from bench.feed.faults import FAULTS
from bench.feed.remote import answer_orders
from bench.feed.webhooks import Template
from conferencing.v1.event_service_pb2 import SubscribeResponse
from gateway.feed.frames import EventFraming, joined
from gateway.journal.cursor import Cursor

_EPOCH = b"the bare"
_FRAMING = EventFraming(_EPOCH)


class BareFeed(grpc.GenericRpcHandler):
    """Streams prepared events to everybody, beginning at a word."""

    def __init__(self) -> None:
        self._templates = [Template.of(0), Template.of(1)]
        self._messages: list[bytes] = []
        # What one subscriber alone gets: the second, whose events another one has got before.
        self._second_messages: list[bytes] = []
        self._streams = 0
        self._go = asyncio.Event()

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes]":
        return grpc.unary_stream_rpc_method_handler(self._subscribe)

    async def load(self, count: int, fault: str | None = None, *, for_all: bool = True) -> None:
        """Prepare the first events of a log, with something wrong for all or for one of them."""
        self._go = asyncio.Event()
        self._streams = 0
        right = [self._message(number) for number in range(count)]
        wrong = FAULTS[fault](right) if fault else right
        self._messages = wrong if for_all else right
        self._second_messages = wrong

    async def go(self) -> float:
        """Begin to send; returns when that was."""
        self._go.set()
        return monotonic()

    def _message(self, number: int) -> bytes:
        encoded, _ = self._templates[number % 2].with_number(number, webhooks.CONFERENCES)
        cursor = _cursor(number + 1)
        rest = SubscribeResponse(cursor=cursor, live=True).SerializeToString()
        frame = b"".join(_FRAMING.frame(number + 1, encoded))
        return joined([frame], rest)

    async def _subscribe(
        self, _request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]"
    ) -> None:
        self._streams += 1
        messages = self._second_messages if self._streams == 2 else self._messages
        go = self._go
        await context.write(SubscribeResponse(cursor=_cursor(0)).SerializeToString())
        await go.wait()
        for message in messages:
            if not message:
                return
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
