"""The process of a witness: gRPC's own client with the generated stubs, which decodes everything.

It would be far too slow to be all subscribers. One stream of it beside the others shows that what
they are sent is what a real client gets.

Run as `python -m bench.feed.witness`; it answers orders (see `remote`).
"""

import asyncio

import grpc
import uvloop

from bench.contestants.contestant import CheckError
from bench.feed.remote import answer_orders
from bench.feed.webhooks import Postings
from conferencing.v1.event_service_pb2 import SubscribeRequest, SubscribeResponse
from conferencing.v1.event_service_pb2_grpc import EventServiceStub


class Witness:
    """Follows everything."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._sequence = 0
        self._channel: grpc.aio.Channel
        self._task: asyncio.Task[None]
        self._opened: asyncio.Event

    async def open(self, port: int, conferences: int) -> None:
        """Subscribe, and return when the stream has begun."""
        self._numbers = []
        self._opened = asyncio.Event()
        self._channel = grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]
        )
        self._task = asyncio.create_task(self._follow(Postings(conferences)))
        opened = asyncio.create_task(self._opened.wait())
        await asyncio.wait([self._task, opened], return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        self._check()

    async def finish(self, first: int, count: int, timeout_s: float) -> int:
        """Return when it has the events posted with these numbers, and nothing else."""
        try:
            async with asyncio.timeout(timeout_s):
                while len(self._numbers) < count:
                    self._check()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise CheckError(f"the witness has {len(self._numbers)} of {count} events") from None
        if sorted(self._numbers) != list(range(first, first + count)):
            raise CheckError("the witness has other events than were posted")
        self._task.cancel()
        await self._channel.close()
        return count

    async def _follow(self, postings: Postings) -> None:
        async for response in EventServiceStub(self._channel).Subscribe(SubscribeRequest()):
            if not self._opened.is_set():
                self._opened.set()
                self._sequence = 0
            self._take(response, postings)

    def _take(self, response: SubscribeResponse, postings: Postings) -> None:
        for event in response.events:
            number = postings.number_of(event)
            if number is None:
                raise CheckError(f"the witness got what was not posted:\n{event}")
            if self._sequence and event.sequence != self._sequence + 1:
                raise CheckError(f"the witness got {event.sequence} after {self._sequence}")
            self._sequence = event.sequence
            self._numbers.append(number)
        if response.events and response.cursor != response.events[-1].cursor:
            raise CheckError("the witness got the cursor of another event")

    def _check(self) -> None:
        if self._task.done():
            error = self._task.exception()
            raise CheckError(f"the witness's stream ended: {error}")


async def _main() -> None:
    witness = Witness()
    await answer_orders({"open": witness.open, "finish": witness.finish})


if __name__ == "__main__":
    uvloop.run(_main())
