"""Broadcast: what one gateway tells all others on the log, as core NATS messages.

No stream keeps them: who is not connected does not hear them, which `Broadcast` allows.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.errors import BrokerError
from gateway.journal.jetstream.messages import Message

# Messages that wait to be sent. A burst beyond that is dropped: whoever sends so many has more to
# tell than anybody can look at.
_WAITING_MAX = 1_000

# How many that have come may wait, of all gateways together, and how much, in bytes.
_COME_MAX = 10_000
_COME_BYTES_MAX = 2**24

# The header with the name of the gateway that has sent a message.
_SENDER = "Telnyx-Gateway"


def subject_of(stream: str, epoch: bytes | None) -> str:
    """Return the subject of a log's messages, by default of those of all logs with the name.

    It has three parts, and the events of a stream have two: no stream of events takes it in,
    whatever its name.
    """
    return f"{stream}_broadcast.{'*' if epoch is None else epoch.hex()}.all"


class JetStreamBroadcast:
    """`Broadcast` by core NATS. `gateway` is the name of this gateway, which no other has.

    `epoch` is the log's, as it is now: what is told of another log with this name is not heard.
    """

    def __init__(
        self, broker: Broker, stream: str, epoch: Callable[[], bytes], gateway: str
    ) -> None:
        self._broker = broker
        self._stream = stream
        self._epoch = epoch
        self._gateway = gateway
        self._receivers: list[Callable[[bytes], None]] = []
        self._waiting: deque[bytes] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._dropped = 0

    async def open(self) -> None:
        """Begin to hear, now or when there is a connection."""
        everything = subject_of(self._stream, None)
        await self._broker.hear(everything, self._received, _COME_MAX, _COME_BYTES_MAX)

    async def close(self) -> None:
        """Send no more."""
        self._waiting.clear()
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])

    @property
    def dropped(self) -> int:
        """See `Broadcast.dropped`."""
        return self._dropped

    def send(self, message: bytes) -> None:
        """See `Broadcast.send`."""
        if len(self._waiting) >= _WAITING_MAX:
            self._dropped += 1
            return
        self._waiting.append(message)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    def listen(self, receiver: Callable[[bytes], None]) -> None:
        """See `Broadcast.listen`."""
        self._receivers.append(receiver)

    @property
    def _subject(self) -> str:
        return subject_of(self._stream, self._epoch())

    async def _send(self) -> None:
        while self._waiting:
            message = self._waiting.popleft()
            try:
                await self._broker.publish(self._subject, message, {_SENDER: self._gateway})
            except BrokerError:
                self._dropped += 1

    def _received(self, message: Message) -> None:
        if message.headers.get(_SENDER) == self._gateway or message.subject != self._subject:
            return
        for receiver in self._receivers:
            receiver(message.data)
