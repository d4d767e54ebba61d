"""Calls in flight, and how a shutdown ends them."""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from grpc import StatusCode

from gateway.records.calls import CallEnded
from gateway.server.call import Call
from gateway.server.errors import GatewayError
from gateway.server.hooks.hook import Hook

# When to retry after a refusal by a gateway that shuts down, in seconds: by then a connection
# without calls in flight has been told to go, and the next call goes elsewhere.
SHUTDOWN_RETRY_S = 0.25


# How many streams a drain lets go at one time, and how often, in seconds. Each is opened again
# elsewhere: a connection, a handshake and a resume, 5 ms of a core or so. All at once they would
# delay those who are there already.
LET_GO_AT_A_TIME = 4
LET_GO_EVERY_S = 0.05

# The share of the drain timeout within which all streams are let go: they need some of it for what
# they are in the midst of sending.
_STREAMS_SHARE = 0.5


def leaves_within_s(drain_timeout_s: float, call_timeout_s: float) -> float:
    """Return within how many seconds a drain lets streams go that can go elsewhere.

    A command that comes on one of the last connections is to end before it is cut off.
    """
    return max(0.0, min(drain_timeout_s * _STREAMS_SHARE, drain_timeout_s - call_timeout_s))


def _later(seconds: float, callback: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, callback)


class InFlight(Hook):
    """A hook that knows which calls have begun and not ended.

    A call is in flight until its status has been handed to the network. Calls that are refused
    because the gateway is shutting down are not counted. `later` calls back after some seconds.
    """

    def __init__(self, later: Callable[[float, Callable[[], None]], object] = _later) -> None:
        self._later = later
        # In the order in which they began.
        self._calls: dict[Call[Any], None] = {}
        self._refusing = False
        # By connection that a drain has not let go yet: how many streams it had when the drain
        # began. And how many streams go at one time.
        self._staying: dict[str, int] = {}
        self._at_a_time = LET_GO_AT_A_TIME
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
        """Whether the gateway is shutting down, and serves no connection any more."""
        return self._refusing and not self._staying

    def on_start(self, call: Call[Any]) -> None:
        """See `Hook`."""
        if self._refusing and call.peer not in self._staying:
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

    def drain(self, within_s: float) -> None:
        """Let all streams go within so many seconds, a few at a time, and refuse new calls.

        Those of one connection are let go together, and until then its calls are not refused: its
        client could open a stream again, or make a call, only on this connection. With no seconds
        all are let go at once.
        """
        for call in self._calls:
            if call.is_stream:
                self._staying[call.peer] = self._staying.get(call.peer, 0) + 1
        streams, times = sum(self._staying.values()), within_s / LET_GO_EVERY_S
        self._at_a_time = max(LET_GO_AT_A_TIME, math.ceil(streams / times) if times else streams)
        self.refuse()
        self._let_some_go()

    def _let_some_go(self) -> None:
        going, streams = set(), 0
        for peer, count in self._staying.items():
            if streams >= self._at_a_time:
                self._later(LET_GO_EVERY_S, self._let_some_go)
                break
            going.add(peer)
            streams += count
        for peer in going:
            del self._staying[peer]
        for call in tuple(self._calls):
            if call.peer in going:
                call.let_go()

    async def cut_off(self, within_s: float) -> None:
        """End what is still in flight, each call with a status that says what became of it."""
        self._staying.clear()
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
