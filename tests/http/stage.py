"""The webhook port's protocol on connections that are the test's, and a receiver behind it.

The loop's clock stands still until a test moves it.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from gateway.bytebudget import ByteBudget
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.ingest.webhooks.receiver import WebhookReceiver
from gateway.ingest.webhooks.signature import SignatureVerifier
from gateway.journal.events import Appended, NewEvent
from gateway.records.webhooks import WebhookReceived
from gateway.server.http.protocol import RequestProtocol
from gateway.server.http.refusals import IDLE_S
from gateway.server.http.slots import ConnectionSlots
from tests.harness.clock import ManualClock
from tests.harness.webhooks import Signer, webhook
from tests.harness.wire import WireResponse, parsed, request
from tests.oracle.stepped import SteppedLoop, run_stepped

HEAD = b"POST /webhooks/telnyx HTTP/1.1\r\nhost: x\r\n"


class Wire(asyncio.Transport):
    """The other end of a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.received = b""
        # What was written, as it was handed over.
        self.pieces: list[bytes] = []
        self.protocol: asyncio.Protocol | None = None
        # How many bytes more the other end takes.
        self.takes = math.inf
        self.waiting = b""
        self.reads = True
        self._closing = False

    def write(self, data: Any) -> None:
        self.pieces.append(data)
        self.waiting += data
        self.take(0)

    def take(self, more: float) -> None:
        self.takes += more
        taken = self.waiting[: int(min(self.takes, len(self.waiting)))]
        self.takes -= len(taken)
        self.received += taken
        self.waiting = self.waiting[len(taken) :]

    def get_write_buffer_size(self) -> int:
        return len(self.waiting)

    def abort(self) -> None:
        self.waiting = b""
        self._closing = False
        self.close()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            if self.waiting:
                return  # for that to be taken, or for the abort
            assert self.protocol is not None
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    @property
    def responses(self) -> list[WireResponse]:
        return parsed(self.received)[0]


class Log:
    """Stores what it is given when it is let."""

    def __init__(self) -> None:
        self.lets = asyncio.Event()
        self.lets.set()

    async def append(self, event: NewEvent) -> Appended:
        await self.lets.wait()
        return Appended(1, False)


class Stage:
    def __init__(self, loop: SteppedLoop) -> None:
        self.loop = loop
        self.log = Log()
        self.signer = Signer()
        self.received: list[WebhookReceived] = []
        self.buffers = ByteBudget()
        clock = ManualClock()
        self.now = clock.now
        self.receiver = WebhookReceiver(
            SignatureVerifier([self.signer.raw_public_key], clock),
            WebhookDecoder(),
            self.log,  # type: ignore[arg-type]
            clock,
            self.received.append,
            self.buffers,
            loop.time,
        )
        self._config = uvicorn.Config(self.receiver, log_config=None, timeout_keep_alive=IDLE_S)
        self.state = ServerState()
        self.slots = ConnectionSlots(limit=100)

    def connect(self) -> Wire:
        wire = Wire()
        protocol = RequestProtocol(
            self._config,
            self.state,
            {},
            self.loop,
            observe=self.receiver.connection_ended,
            slots=self.slots,
        )
        wire.protocol = protocol
        protocol.connection_made(wire)
        return wire

    async def send(self, wire: Wire, data: bytes) -> None:
        assert wire.protocol is not None
        wire.protocol.data_received(data)
        await self.passes(0)

    async def close_their_side(self, wire: Wire) -> None:
        assert wire.protocol is not None
        if not wire.protocol.eof_received():
            wire.close()
        await self.passes(0)

    async def passes(self, seconds: float) -> None:
        self.loop.advance(seconds)
        for _ in range(20):
            await asyncio.sleep(0)

    def signed(self, body: bytes | None = None) -> bytes:
        body = webhook() if body is None else body
        return request(body, self.signer.telnyx(body, self.now).items())

    def signed_head(self, more: bytes = b"transfer-encoding: chunked\r\n") -> bytes:
        """The head of a webhook that may be refused for its body only."""
        signed = self.signer.telnyx(b"", self.now)
        lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in signed.items())
        return HEAD + lines + more + b"\r\n"

    @property
    def outcomes(self) -> list[str]:
        return [it.result for it in self.received]


def staged(test: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        run_stepped(lambda loop: test(Stage(loop)))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
