"""The limit on requests in flight: a short queue, and a quick refusal beyond it."""

import asyncio
import contextlib
from collections import deque
from time import monotonic

from gateway.telnyx.transport import (
    HttpRequest,
    HttpResponse,
    NotSentError,
    OverloadedError,
    Transport,
)

# Requests to the provider at one time; also the size of the transports' pools.
IN_FLIGHT_MAX = 100

# Requests that wait for their turn. At 100 in flight and 100 ms each this is a second's work;
# whoever comes later is better served by another gateway than by waiting.
WAITING_MAX = 1_000


class LimitedTransport:
    """A transport with at most so many requests in flight, and so many waiting, in their order."""

    def __init__(
        self,
        inner: Transport,
        in_flight_max: int = IN_FLIGHT_MAX,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._inner = inner
        self._free = in_flight_max
        self._in_flight_max = in_flight_max
        self._waiting_max = waiting_max
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._in_flight_max - self._free

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(not turn.done() for turn in self._waiting)

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send when it is this request's turn; see `Transport.send`.

        Raises OverloadedError at once if too many wait already, NotSentError if its turn does not
        come in time.
        """
        if self._free:
            self._free -= 1
        else:
            timeout -= await self._turn(timeout)
        try:
            if monotonic() > request.send_by:
                raise NotSentError("its turn came too late for it to be sent without risk")
            return await self._inner.send(request, timeout)
        finally:
            self._release()

    async def close(self) -> None:
        """Close the transport."""
        await self._inner.close()

    async def _turn(self, timeout: float) -> float:
        """Wait for a place; returns the seconds that took."""
        if len(self._waiting) >= self._waiting_max:
            raise OverloadedError(
                f"{self._in_flight_max} requests to the provider are in flight and"
                f" {self._waiting_max} wait"
            )
        loop = asyncio.get_running_loop()
        began = loop.time()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(timeout):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._release()  # the place was given at the moment it was given up
            else:
                # `_release` may have passed over it already, if several gave up at once.
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise NotSentError("the provider was too busy for it to be sent in time") from None
            raise
        return loop.time() - began

    def _release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)  # the place goes to the next in line
                return
        self._free += 1
