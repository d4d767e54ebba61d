"""Pulling: the messages of the stream in their order, as many at a time as can be taken.

A consumer that pushes hands on what it has counted already, and what does not fit is lost. Here so
many messages are asked for, and no more come. The server says every second that it is still there.
"""

import asyncio
import json
import secrets
from typing import NamedTuple

from gateway.journal.jetstream.api import JetStreamApi
from gateway.journal.jetstream.broker import Broker
from gateway.journal.jetstream.errors import BrokerError
from gateway.journal.jetstream.messages import Inbox, Message

# Messages asked for at a time, while at most as many are on their way already; and their bytes.
_ASKED = 1_000
_ASKED_BYTES = 8 * 1024 * 1024

# For how long a request is good, and how often the server says meanwhile that it still is, in
# seconds; after three times that it does not hold.
_EXPIRES_S = 30
_HEARTBEAT_S = 1
_SILENCE_S = 3.0

# How long to wait before a consumer is asked again that the servers have just made and do not all
# know yet, in seconds, and how often.
_UNKNOWN_S = 0.02
_UNKNOWN_MAX = 50

# For how long the server keeps a consumer of whom it hears nothing, in seconds.
_KEPT_S = 60

_NANOSECONDS = 10**9

# Statuses (ADR-37 of nats-architecture-and-design): the request holds; it has ended; it has ended
# or failed, which its text tells.
_HOLDS = "100"
_NOBODY = "503"
_ENDED = ("404", "408")
_ENDED_BY_TEXT = ("Message Size Exceeds MaxBytes", "Batch Completed")

_FIELDS = 9


class Delivered(NamedTuple):
    """A message, its number, how many more there are after it in the stream, and its subject."""

    sequence: int
    data: bytes
    left: int
    subject: str = ""


class Pull:
    """Messages that come after some number. Use `begin`; end it with `close`."""

    def __init__(self, broker: Broker, api: JetStreamApi) -> None:
        self._broker = broker
        self._api = api
        self._consumer = secrets.token_hex(8)
        self._inbox: Inbox | None = None
        self._come: list[Delivered] = []
        self._asked = 0
        self._failure: str | None = None
        # How often nobody has known the consumer, before anybody did.
        self._unknown = 0
        self._is_known = False
        self._heard = asyncio.Event()

    @classmethod
    async def begin(cls, broker: Broker, api: JetStreamApi, after: int) -> "Pull":
        """Begin with what comes after a number. Raises BrokerError and RefusedError."""
        pull = cls(broker, api)
        pull._inbox = await broker.subscribe(pull._received)
        try:
            await api.create_consumer(
                pull._consumer,
                {
                    "deliver_policy": "by_start_sequence",
                    "opt_start_seq": after + 1,
                    "ack_policy": "none",
                    # It is made again in a moment: nobody need keep it safe.
                    "mem_storage": True,
                    "num_replicas": 1,
                    "inactive_threshold": _KEPT_S * _NANOSECONDS,
                },
            )
        except BaseException:
            await pull.close()
            raise
        return pull

    async def next(self, within_s: float) -> list[Delivered]:
        """Wait for messages; none if none come in time. Raises BrokerError.

        A message may have been deleted before it was sent: then its number is missing.
        """
        try:
            async with asyncio.timeout(within_s):
                while not self._come and self._failure is None:
                    # First: what comes while it asks is heard.
                    self._heard.clear()
                    if self._unknown and not self._asked:
                        await asyncio.sleep(_UNKNOWN_S)
                    await self._ask()
                    await self._hear()
        except TimeoutError:
            return []
        if self._failure is not None:
            raise BrokerError(self._failure)
        come, self._come = self._come, []
        await self._ask()
        return come

    def lose(self) -> None:
        """Say that the connection is gone."""
        self._failure = "the connection was lost"
        self._heard.set()

    async def close(self) -> None:
        """Take no more. The server forgets the consumer by itself."""
        if self._inbox is not None:
            await self._inbox.close()

    async def _hear(self) -> None:
        # Not `wait_for`: before Python 3.12 it may swallow that its caller is cancelled.
        try:
            async with asyncio.timeout(_SILENCE_S):
                await self._heard.wait()
        except TimeoutError:
            self._failure = f"nothing was heard of the stream for {_SILENCE_S:.0f} s"

    async def _ask(self) -> None:
        if self._asked >= _ASKED:
            return
        assert self._inbox is not None
        asked = {
            "batch": _ASKED,
            "max_bytes": _ASKED_BYTES,
            "expires": _EXPIRES_S * _NANOSECONDS,
            "idle_heartbeat": _HEARTBEAT_S * _NANOSECONDS,
        }
        self._asked += _ASKED
        await self._broker.publish(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._api.stream}.{self._consumer}",
            json.dumps(asked).encode(),
            reply=self._inbox.subject,
        )

    def _received(self, message: Message) -> None:
        if not message.headers:
            self._is_known = True
            sequence, left = _numbers_of(message.reply)
            self._come.append(Delivered(sequence, message.data, left, message.subject))
            self._asked -= 1
        elif (status := message.headers.get("Status")) == _HOLDS:
            self._is_known = True
        elif status == _NOBODY and not self._is_known and self._unknown < _UNKNOWN_MAX:
            self._unknown += 1
            self._asked = 0
        else:
            text = message.headers.get("Description", "")
            if status in _ENDED or text in _ENDED_BY_TEXT:
                self._asked -= int(message.headers.get("Nats-Pending-Messages", "0"))
            else:
                self._failure = f"the stream cannot be followed: {status} {text.strip()}"
        self._heard.set()


def _numbers_of(reply: str) -> tuple[int, int]:
    """Return a message's number and how many follow it (ADR-15: the subject of its response).

    `$JS.ACK.stream.consumer.delivered.number.of_consumer.time.left`, or with a domain and an
    account before the stream and something behind.
    """
    parts = reply.split(".")
    at = 2 if len(parts) == _FIELDS else 4
    return int(parts[at + 3]), int(parts[at + 6])
