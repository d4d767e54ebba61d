"""A transport that another one can take the place of, while requests are in flight."""

import asyncio
from collections import Counter

from gateway.upstream.transport import HttpRequest, HttpResponse, Transport


class ReplaceableTransport:
    """Sends requests with the latest transport; earlier ones complete what they have begun."""

    def __init__(self, transport: Transport) -> None:
        self._latest = transport
        # The transport of each request in flight, by the request's identity.
        self._of: dict[int, Transport] = {}
        self._in_flight: Counter[Transport] = Counter()
        self._closing: set[asyncio.Task[None]] = set()

    def replace(self, transport: Transport) -> None:
        """Send what comes from now on with another transport."""
        before, self._latest = self._latest, transport
        if not self._in_flight[before]:
            self._close(before)

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send a request; see `Transport.send`."""
        transport = self._of[id(request)] = self._latest
        self._in_flight[transport] += 1
        try:
            return await transport.send(request, timeout)
        finally:
            del self._of[id(request)]
            self._in_flight[transport] -= 1
            if transport is not self._latest and not self._in_flight[transport]:
                self._close(transport)

    def end(self, request: HttpRequest) -> None:
        """See `Transport.end`."""
        if transport := self._of.get(id(request)):
            transport.end(request)

    async def close(self) -> None:
        """Close all transports."""
        transports = {self._latest, *self._of.values()}
        await asyncio.gather(*(it.close() for it in transports), *self._closing)

    def _close(self, transport: Transport) -> None:
        del self._in_flight[transport]
        task = asyncio.create_task(transport.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
