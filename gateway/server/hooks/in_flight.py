"""Calls in flight, and how a shutdown ends them."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from grpc import StatusCode

from gateway.records.calls import CallEnded
from gateway.server.call import Call
from gateway.server.errors import GatewayError
from gateway.server.hooks.hook import Hook

# When to retry after a refusal by a gateway that shuts down, in seconds: by then a connection
# without calls in flight has been told to go, and the next call goes elsewhere.
SHUTDOWN_RETRY_S = 0.25


class InFlight(Hook):
    """A hook that knows which calls have begun and not ended.

    A call is in flight until its status has been handed to the network. Calls that are refused
    because the gateway is shutting down are not counted.
    """

    def __init__(self) -> None:
        # In the order in which they began.
        self._calls: dict[Call[Any], None] = {}
        self._refusing = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def peers(self) -> frozenset[str]:
        """Who has calls in flight, as gRPC names them (`ipv4:127.0.0.1:40000`)."""
        return frozenset(call.peer for call in self._calls)

    @property
    def by_method(self) -> Mapping[str, int]:
        """How many there are, by method."""
        return Counter(call.method for call in self._calls)

    @property
    def refusing(self) -> bool:
        """Whether the gateway is shutting down."""
        return self._refusing

    def on_start(self, call: Call[Any]) -> None:
        """See `Hook`."""
        if self._refusing:
            raise _shutting_down("the gateway is shutting down and accepts no new calls")
        self._calls[call] = None
        self._idle.clear()

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """See `Hook`."""
        del self._calls[call]
        if not self._calls:
            self._idle.set()

    async def wait_until_idle(self) -> None:
        """Return when no call is in flight."""
        await self._idle.wait()

    def refuse(self) -> None:
        """Refuse calls that come from now on: the gateway is shutting down."""
        self._refusing = True

    async def cut_off(self, within_s: float) -> None:
        """End what is still in flight, each call with a status that says what became of it."""
        for call in tuple(self._calls):
            call.end(call.explain_cut_off or _without_effect)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.wait_until_idle()


def _without_effect() -> GatewayError:
    return _shutting_down("the gateway shut down before the call completed; it had no effect")


def _shutting_down(text: str) -> GatewayError:
    return GatewayError(
        StatusCode.UNAVAILABLE,
        "GATEWAY_SHUTTING_DOWN",
        f"{text}: retry, another gateway or this one's successor will respond",
        retry_after=SHUTDOWN_RETRY_S,
    )
