"""Follow the feed: the loop that every subscriber writes, with resumption."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc

from conferencing.v1.event_service_pb2 import SubscribeRequest, SubscribeResponse
from conferencing.v1.event_service_pb2_grpc import EventServiceStub
from gateway.client import errors
from gateway.client.errors import CallError

# The first pause before a retry after a break, and the longest; each is twice the one before, in
# seconds. They are short: somebody waits for the events.
_PAUSE_FIRST_S = 0.2
_PAUSE_MAX_S = 1.0

# By default gRPC waits up to two minutes before it connects again.
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

# For an address with several gateways: calls go to each in turn, and one that nobody has taken goes
# to the next.
ANY_OF_SEVERAL = (
    *CHANNEL_OPTIONS,
    (
        "grpc.service_config",
        json.dumps(
            {
                "loadBalancingConfig": [{"round_robin": {}}],
                "methodConfig": [
                    {
                        "name": [{}],
                        "retryPolicy": {
                            "maxAttempts": 4,
                            "initialBackoff": "0.1s",
                            "maxBackoff": "1s",
                            "backoffMultiplier": 2,
                            "retryableStatusCodes": ["UNAVAILABLE"],
                        },
                    }
                ],
            }
        ),
    ),
)

# What passes by itself: the server restarts, a connection breaks.
_PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no stream any more, or none yet; `Resumed` follows when there is one."""

    error: CallError


@dataclass(frozen=True, slots=True)
class Resumed:
    """There is a stream again: after the last response, or as requested if there was none."""

    has_received: bool


Notice: TypeAlias = Lost | Resumed


def _ignore(notice: Notice) -> None:
    """Take no interest."""


class Subscription:
    """Follows the feed from a position on, across restarts of the gateway.

    `observe` hears when the stream is lost and when it is there again. The request's start is used
    once; afterwards the subscription continues from its own cursor.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        request: SubscribeRequest,
        observe: Callable[[Notice], None] = _ignore,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._stub = EventServiceStub(channel)
        self._request = SubscribeRequest()
        self._request.CopyFrom(request)
        self._observe = observe
        self._sleep = sleep
        self._is_lost = False
        self._has_received = False

    async def responses(self) -> AsyncGenerator[SubscribeResponse, None]:
        """Yield what comes; ends only for a request that has `stop_when_caught_up`.

        A response counts as handled when the next one is asked for: save its cursor with what came
        of its events, and nothing is lost; what was handled and not saved comes again. One without
        events moves the cursor all the same.

        Raises grpc.aio.AioRpcError for errors that a retry does not mend, and for any error of a
        bounded request: whoever asks for an end does not want to wait for ever.
        """
        pause = _PAUSE_FIRST_S
        while True:
            wait = pause
            try:
                async for response in self._stream():
                    self._back()
                    yield response
                    self._request.after_cursor = response.cursor
                    self._has_received = True
                    wait = pause = _PAUSE_FIRST_S
                if self._request.stop_when_caught_up:
                    return
            except grpc.aio.AioRpcError as error:
                why = errors.of(error)
                if not _passes(why) or self._request.stop_when_caught_up:
                    raise
                self._lost(why)
                wait = max(pause, why.retry_after_s or 0.0)
            await self._sleep(wait)
            pause = min(pause * 2, _PAUSE_MAX_S)

    def _lost(self, error: CallError) -> None:
        if not self._is_lost:
            self._observe(Lost(error))
        self._is_lost = True

    def _back(self) -> None:
        if self._is_lost:
            self._observe(Resumed(self._has_received))
        self._is_lost = False

    def _stream(self) -> AsyncIterator[SubscribeResponse]:
        call: AsyncIterator[SubscribeResponse] = self._stub.Subscribe(self._request)  # type: ignore[assignment]
        return call


def _passes(error: CallError) -> bool:
    """Whether it passes by itself. A limit does, if it is the gateway's and not the library's."""
    is_limit = error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.reason != ""
    return is_limit or error.code in _PASSING


def subscribe(
    channel: grpc.aio.Channel, request: SubscribeRequest | None = None
) -> AsyncGenerator[SubscribeResponse, None]:
    """Follow the feed; see `Subscription.responses`.

    Open the channel with `CHANNEL_OPTIONS`, so that it connects again soon.
    """
    return Subscription(channel, request or SubscribeRequest()).responses()
