"""The limit on requests in flight, and the one account of each from its sending to its real end.

A caller may leave before its request has ended: it cancels, its deadline passes, another request
of the same call was quicker. The request goes on all the same, on a connection that nobody else can
use. So slots are counted twice: those whose callers wait, and those that are in use at all.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable
from time import monotonic

from gateway.upstream.transport import (
    HttpRequest,
    HttpResponse,
    NotSentError,
    OverloadedError,
    Transport,
)

# Requests to the provider in flight whose callers wait.
IN_FLIGHT_MAX = 100

# Requests that wait for their turn. At 100 in flight and 100 ms each this is a second's work;
# whoever comes later is better served by another gateway than by waiting.
WAITING_MAX = 1_000

# Connections for each request that may be in flight: one for it, and one for a request whose caller
# has left. Without the second, callers who abandon hung requests would keep out all others until
# these have ended; without a bound, they would take any number of connections.
CONNECTIONS_PER_REQUEST = 2
CONNECTIONS_MAX = IN_FLIGHT_MAX * CONNECTIONS_PER_REQUEST

# The method of requests that may be ended early: the provider does nothing for them but respond.
_QUERY = "GET"


class SentRequest:
    """A request under the limit: wait for `ended`, or `give_up`."""

    def __init__(
        self, limit: "LimitedTransport", request: HttpRequest, until: float, longest_s: float
    ) -> None:
        self.request = request
        # When it must have ended, on the monotonic clock, and how long it may take from when it
        # has left, in seconds.
        self.until = until
        self.longest_s = longest_s
        # When it was to be sent, on the monotonic clock.
        self.asked_at = limit._now()
        # When it was handed to the transport, on the monotonic clock; None while it waits.
        self.left_at: float | None = None
        # Whether somebody waits for it.
        self.attended = True
        self._limit = limit
        # The whole way of the request. Those who wait for it must not cancel it.
        self.ended: asyncio.Task[HttpResponse] = asyncio.create_task(limit._send(self))

    def give_up(self) -> None:
        """Abandon it: nobody waits for it any more. It never leaves if it has not left yet."""
        if self.ended.done() or not self.attended:
            return
        if self.left_at is None:
            self.ended.cancel()
        else:
            self.attended = False
            self._limit._abandon(self)


class LimitedTransport:
    """Starts requests: at most so many in flight, and so many waiting, in their order.

    `now` is the monotonic clock, in seconds.
    """

    def __init__(
        self,
        inner: Transport,
        in_flight_max: int = IN_FLIGHT_MAX,
        waiting_max: int = WAITING_MAX,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._inner = inner
        self._in_flight_max = in_flight_max
        self._waiting_max = waiting_max
        self._connections_max = in_flight_max * CONNECTIONS_PER_REQUEST
        self._now = now
        self._waiting: deque[asyncio.Future[None]] = deque()
        # Requests that have a slot, by whether somebody waits for them.
        self._attended = 0
        self._abandoned = 0
        # Since when no slot has been free, infinite while one is, and when the latest response
        # came; on the monotonic clock.
        self._full_since = math.inf
        self._responded_at = now()
        # Nobody else holds those that nobody waits for, and asyncio's references are weak.
        self._left: set[asyncio.Task[HttpResponse]] = set()

    @property
    def in_flight(self) -> int:
        """How many requests are in flight, abandoned ones included."""
        return self._attended + self._abandoned

    @property
    def abandoned(self) -> int:
        """How many of them nobody waits for any more."""
        return self._abandoned

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(not turn.done() for turn in self._waiting)

    @property
    def stalled_s(self) -> float:
        """For how long all slots have been taken and no response has come; 0 while one is free.

        In seconds. A time-out is no response, and a slot that is taken in the moment it is freed is
        not free: neither shows that requests succeed.
        """
        return max(0.0, self._now() - max(self._full_since, self._responded_at))

    @property
    def silence_s(self) -> float:
        """How long ago the latest response came, in seconds."""
        return self._now() - self._responded_at

    def start(self, request: HttpRequest, until: float, longest_s: float) -> SentRequest:
        """Send a request when it is its turn, to end by a moment on the monotonic clock.

        Its `ended` raises TransportError: OverloadedError at once if too many wait already.
        """
        return SentRequest(self, request, until, longest_s)

    async def close(self) -> None:
        """Close the transport and end the requests that nobody waits for any more."""
        await self._inner.close()
        for task in tuple(self._left):
            task.cancel()
        await asyncio.gather(*self._left, return_exceptions=True)

    def _forget(self, task: asyncio.Task[HttpResponse]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here, for its caller has left

    async def _send(self, sent: SentRequest) -> HttpResponse:
        if self._has_slot:
            self._attended += 1
            self._note_slots()
        else:
            await self._slot()
        try:
            now = self._now()
            if now > sent.request.send_by:
                raise NotSentError("its turn came too late to send it safely")
            if now >= sent.until:
                raise NotSentError("no slot became free in time to send it")
            sent.left_at = now
            response = await self._inner.send(sent.request, min(sent.until - now, sent.longest_s))
            self._responded_at = self._now()
            return response
        finally:
            if sent.attended:
                self._attended -= 1
            else:
                self._abandoned -= 1
            self._admit()
            # Its `ended` holds what is raised here, and that would hold it by its traceback.
            del sent

    def _abandon(self, sent: SentRequest) -> None:
        self._attended -= 1
        self._abandoned += 1
        self._left.add(sent.ended)
        sent.ended.add_done_callback(self._forget)
        if sent.request.method == _QUERY:
            self._inner.end(sent.request)
        self._admit()

    @property
    def _has_slot(self) -> bool:
        attended = self._attended
        return attended < self._in_flight_max and attended + self._abandoned < self._connections_max

    async def _slot(self) -> None:
        """Wait for a slot. Raises OverloadedError if too many wait for one."""
        if len(self._waiting) >= self._waiting_max or self.in_flight >= self._connections_max:
            raise self._overloaded()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The slot was granted in the moment the wait was cancelled.
                self._attended -= 1
                self._admit()
            else:
                # `_admit` may have skipped it already, if several were cancelled at once.
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            raise

    def _admit(self) -> None:
        """Give free slots to the requests that wait."""
        while self._waiting and self._has_slot:
            turn = self._waiting.popleft()
            if not turn.done():
                self._attended += 1
                turn.set_result(None)
        self._note_slots()

    def _note_slots(self) -> None:
        if self._has_slot:
            self._full_since = math.inf
        elif self._full_since == math.inf:
            self._full_since = self._now()

    def _overloaded(self) -> OverloadedError:
        if self.in_flight >= self._connections_max:
            return OverloadedError(
                f"{self.in_flight} requests to the provider are in flight, {self._abandoned} of"
                " them abandoned by their callers"
            )
        return OverloadedError(
            f"{self._attended} requests to the provider are in flight and {len(self._waiting)} wait"
        )
