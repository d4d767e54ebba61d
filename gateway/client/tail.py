"""Follow the feed: the loop that every subscriber writes, with resumption."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import SubscribeRequest, SubscribeResponse
from conferencing.v1.event_service_pb2_grpc import EventServiceStub

# After a break the feed is asked again after so many seconds, each time twice as many.
_PAUSE_FIRST_S = 0.2
_PAUSE_MAX_S = 10.0

# What passes by itself: the server restarts, a connection breaks.
_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN})


class Tail:
    """Follows the feed from a place on, across restarts of the gateway.

    `on_break` is told the error of each break that the tail is going to mend. The request's start
    is used once; afterwards the tail goes on from its own cursor.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        request: SubscribeRequest,
        on_break: Callable[[grpc.aio.AioRpcError], None],
    ) -> None:
        self._stub = EventServiceStub(channel)
        self._request = request
        self._on_break = on_break

    @property
    def cursor(self) -> str:
        """The place up to which events have been handed out, empty at first."""
        return self._request.after_cursor

    async def events(self) -> AsyncIterator[Event]:
        """Yield events; ends only for a bounded request.

        Raises grpc.aio.AioRpcError for errors that asking again does not mend.
        """
        pause = _PAUSE_FIRST_S
        while True:
            try:
                async for response in self._responses():
                    for event in response.events:
                        yield event
                    # Saved after its events were handed out: a break in between repeats them.
                    self._request.after_cursor = response.cursor
                    pause = _PAUSE_FIRST_S
                if self._request.stop_when_caught_up:
                    return
            except grpc.aio.AioRpcError as error:
                if error.code() not in _PASSING:
                    raise
                self._on_break(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE_MAX_S)

    def _responses(self) -> AsyncIterator[SubscribeResponse]:
        call: AsyncIterator[SubscribeResponse] = self._stub.Subscribe(self._request)  # type: ignore[assignment]
        return call
