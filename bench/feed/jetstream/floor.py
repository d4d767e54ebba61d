"""The floor of appending to a stream: the same messages, sent by the client library alone.

No HTTP, no signature, no index: events that are encoded already go into the stream, as many in a
batch as there are webhooks under way in the gateway, one batch after the other. Or one by one, as
many at the same time as that, each with an acknowledgement of its own: what a program does that
gathers nothing.

Run as `python -m bench.feed.jetstream.floor ADDRESS STREAM`; it answers orders (see `remote`).
"""

import asyncio
import json
import secrets
import sys
from collections.abc import Iterator
from time import monotonic

import nats
import uvloop
from nats.aio.client import Client

from bench.contestants.contestant import CheckError
from bench.feed.remote import answer_orders
from bench.feed.webhooks import NewEvents
from gateway.journal.jetstream.encoding import Encoding
from gateway.journal.jetstream.stream import EPOCH
from gateway.journal.jetstream.subjects import event_of
from gateway.journal.ports import EPOCH_BYTES
from tests.harness.events import FORMAT

# Refuses an id that the stream has already.
_FIRST = {"Nats-Expected-Last-Subject-Sequence": "0"}

# How long the server may take for anything, in seconds.
_RESPONSE_S = 30.0


class Floor:
    """Appends events to a stream, each with a number of its own."""

    def __init__(self, client: Client, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._encoding = Encoding(FORMAT)
        self._made = NewEvents()
        self._next = 0

    async def create(self) -> None:
        """Make the stream, as a gateway does."""
        config = {
            "name": self._stream,
            "subjects": [f"{self._stream}.*"],
            "storage": "file",
            "discard": "old",
            "allow_atomic": True,
            "allow_direct": True,
            "metadata": {EPOCH: secrets.token_hex(EPOCH_BYTES)},
        }
        await self._asked(f"$JS.API.STREAM.CREATE.{self._stream}", json.dumps(config).encode())

    async def append(self, count: int, together: int) -> dict[str, float]:
        """Append so many events, some in a batch; returns how long that took."""
        numbers = range(self._next, self._next + count)
        self._next += count
        messages = [self._message(it) for it in numbers]
        started = monotonic()
        for start in range(0, count, together):
            await self._batch(messages[start : start + together])
        return {"seconds": monotonic() - started}

    async def append_singly(self, count: int, together: int) -> dict[str, float]:
        """Append so many events one by one, some at the same time; returns how long that took."""
        numbers = range(self._next, self._next + count)
        self._next += count
        messages = iter([self._message(it) for it in numbers])
        started = monotonic()
        await asyncio.gather(*(self._each(messages) for _ in range(together)))
        return {"seconds": monotonic() - started}

    async def _each(self, messages: Iterator[tuple[str, bytes]]) -> None:
        for subject, data in messages:
            await self._asked(subject, data, {**_FIRST})

    async def _batch(self, messages: list[tuple[str, bytes]]) -> None:
        headers = {
            **_FIRST,
            "Nats-Batch-Id": secrets.token_hex(8),
        }
        for number, (subject, data) in enumerate(messages[:-1], 1):
            headers["Nats-Batch-Sequence"] = str(number)
            await self._client.publish(subject, data, headers=headers)
        headers["Nats-Batch-Sequence"] = str(len(messages))
        headers["Nats-Batch-Commit"] = "1"
        await self._asked(*messages[-1], headers)

    async def _asked(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> None:
        found = await self._client.request(subject, data, _RESPONSE_S, headers=headers)
        if "error" in json.loads(found.data):
            raise CheckError(f"the server refused: {found.data!r}")

    def _message(self, number: int) -> tuple[str, bytes]:
        event = self._made.event(number)
        return event_of(self._stream, event.id), self._encoding.encoded(event)


async def _main(address: str, stream: str) -> None:
    client = await nats.connect(f"nats://{address}")
    floor = Floor(client, stream)
    await floor.create()
    await answer_orders({"append": floor.append, "append_singly": floor.append_singly})
    await client.close()


if __name__ == "__main__":
    uvloop.run(_main(*sys.argv[1:]))
