"""The process that searches: programs that look something up in the log, again and again.

Run as `python -m bench.feed.searcher`; it answers orders (see `remote`).
"""

import asyncio

import grpc
import uvloop

from bench.contestants.contestant import CheckError
from bench.feed.remote import answer_orders
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    EventFilter,
    ListEventsRequest,
    SubscribeRequest,
)
from conferencing.v1.event_service_pb2_grpc import EventServiceStub

# How long a search may take, in seconds.
_SEARCH_S_MAX = 30.0


class Searcher:
    """Lets some programs search at one time."""

    def __init__(self) -> None:
        self._filter = EventFilter()
        self._programs: list[asyncio.Task[None]] = []
        self._searches = 0

    async def begin(
        self, address: str, queue: str, due: int, programs: int, pause_s: float
    ) -> None:
        """Let programs list a queue's events, then catch up with them, each after a pause.

        `due` is how many events there are.
        """
        self._filter = EventFilter(queue_names=[queue])
        self._searches = 0
        self._programs = [
            asyncio.create_task(self._program(address, pause_s, due, number / programs))
            for number in range(programs)
        ]

    async def end(self) -> int:
        """End them; returns how many searches they made. Raises CheckError for a wrong one."""
        for program in self._programs:
            program.cancel()
        for failed in await asyncio.gather(*self._programs, return_exceptions=True):
            if isinstance(failed, Exception):
                raise CheckError(f"a search failed: {failed}")
        return self._searches

    async def _program(self, address: str, pause_s: float, due: int, phase: float) -> None:
        await asyncio.sleep(pause_s * phase)  # not all at one time
        async with grpc.aio.insecure_channel(address, [("grpc.enable_http_proxy", 0)]) as channel:
            service = EventServiceStub(channel)
            while True:
                found, token = 0, ""
                while True:
                    listed = await service.ListEvents(
                        ListEventsRequest(filter=self._filter, page_token=token),
                        timeout=_SEARCH_S_MAX,
                    )
                    found, token = found + len(listed.events), listed.next_page_token
                    if not token:
                        break
                await self._done(found, due, pause_s)
                found = 0
                request = SubscribeRequest(
                    filter=self._filter, position=POSITION_EARLIEST, stop_when_caught_up=True
                )
                async for response in service.Subscribe(request, timeout=_SEARCH_S_MAX):
                    found += len(response.events)
                await self._done(found, due, pause_s)

    async def _done(self, found: int, due: int, pause_s: float) -> None:
        if found != due:
            raise CheckError(f"a search found {found} events, {due} match")
        self._searches += 1
        await asyncio.sleep(pause_s)


async def _main() -> None:
    searcher = Searcher()
    await answer_orders({"begin": searcher.begin, "end": searcher.end})


if __name__ == "__main__":
    uvloop.run(_main())
