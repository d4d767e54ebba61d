"""Follow the feed: the loop that every subscriber writes, with resumption."""

import asyncio
from collections.abc import AsyncIterator, Callable

import grpc

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import SubscribeRequest, SubscribeResponse
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.client.tail_errors import gap_line

# The first pause before a retry after a break, and the longest; each is twice the one before, in
# seconds. They are short: a person is watching.
_PAUSE_FIRST_S = 0.2
_PAUSE_MAX_S = 1.0

# By default gRPC waits up to two minutes before it connects again.
TAIL_CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

# What passes by itself: the server restarts, a connection breaks.
_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN})


class Tail:
    """Follows the feed from a position on, across restarts of the gateway.

    `tell` is given a line when the connection is lost and when it is there again, and for each gap
    that the request asked to continue over. The request's start is used once; afterwards the tail
    continues from its own cursor.
    """

    def __init__(
        self, channel: grpc.aio.Channel, request: SubscribeRequest, tell: Callable[[str], None]
    ) -> None:
        self._stub = EventServiceStub(channel)
        self._request = request
        self._tell = tell
        self._lost = False
        self.has_received = False

    @property
    def cursor(self) -> str:
        """The cursor of what has been yielded so far, empty at first."""
        return self._request.after_cursor

    async def events(self) -> AsyncIterator[Event]:
        """Yield events; ends only for a bounded request.

        Raises grpc.aio.AioRpcError for errors that a retry does not mend, and for any error of a
        bounded request: whoever asks for an end does not want to wait for ever.
        """
        pause = _PAUSE_FIRST_S
        while True:
            try:
                async for response in self._responses():
                    self._is_back()
                    if response.HasField("gap"):
                        self._tell(gap_line(response.gap))
                    for event in response.events:
                        yield event
                    # Saved after its events were yielded: a break in between yields them again.
                    self._request.after_cursor = response.cursor
                    self.has_received = True
                    pause = _PAUSE_FIRST_S
                if self._request.stop_when_caught_up:
                    return
            except grpc.aio.AioRpcError as error:
                if error.code() not in _PASSING or self._request.stop_when_caught_up:
                    raise
                self._is_lost(error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _PAUSE_MAX_S)

    def _is_lost(self, error: grpc.aio.AioRpcError) -> None:
        if not self._lost:
            details = error.details() or ""
            # A certificate that one side does not accept passes by itself least of all.
            why = f": {details}" if "handshak" in details else ""
            self._tell(f"no connection to the gateway ({error.code().name}{why}); retrying")
        self._lost = True

    def _is_back(self) -> None:
        if self._lost:
            how = "resuming after the last event" if self.has_received else "starting as requested"
            self._tell(f"connected; {how}")
        self._lost = False

    def _responses(self) -> AsyncIterator[SubscribeResponse]:
        call: AsyncIterator[SubscribeResponse] = self._stub.Subscribe(self._request)  # type: ignore[assignment]
        return call
