"""The health service: `grpc.health.v1`, told by those who know.

grpcio's own implementation writes to one watcher after the other and holds a lock meanwhile that
each change needs. A watcher that takes nothing, as a client can with a window of zero bytes, would
keep changes from all others, and the shutdown waiting for ever. Here each watcher waits for itself.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Response = health_pb2.HealthCheckResponse


class _Watch:
    """A watcher: what it asks for, what wakes it, and whether it has been told what is set."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.news = asyncio.Event()
        self.settled = asyncio.Event()


class HealthService(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Says which services can do their work, to who asks and to who watches.

    Those of `services`, by full name, that it has not been told of cannot.
    """

    def __init__(self, services: frozenset[str]) -> None:
        self._serving: dict[str, bool] = dict.fromkeys(services, False)
        self._watches: set[_Watch] = set()

    def tell(self, serving: Mapping[str, bool]) -> None:
        """Set whether services can do their work, by full name, and wake all who watch."""
        self._serving.update(serving)
        for watch in self._watches:
            watch.settled.clear()
            watch.news.set()

    async def heard(self, within_s: float) -> None:
        """Wait until all who watch have been sent what is set; `within_s` seconds at most."""
        waits = [asyncio.create_task(watch.settled.wait()) for watch in self._watches]
        if not waits:
            return
        _, late = await asyncio.wait(waits, timeout=within_s)
        for it in late:
            it.cancel()

    async def Check(self, request: Any, context: Any) -> Any:
        """Return the state of a service; NOT_FOUND if there is none of that name."""
        if request.service not in self._serving:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return self._response(request.service)

    async def List(self, request: Any, context: Any) -> Any:
        """Return the states of all services."""
        return health_pb2.HealthListResponse(
            statuses={name: self._response(name) for name in self._serving}
        )

    async def Watch(self, request: Any, context: Any) -> None:
        """Send the state of a service at once, and whenever it has changed."""
        watch = _Watch(request.service)
        self._watches.add(watch)
        told = None
        try:
            while True:
                response = self._response(watch.service)
                if response != told:
                    await context.write(response)
                    told = response
                if not watch.news.is_set():
                    watch.settled.set()
                await watch.news.wait()
                watch.news.clear()
        finally:
            self._watches.discard(watch)
            watch.settled.set()

    def _response(self, service: str) -> Any:
        serving = self._serving.get(service)
        if serving is None:
            return _Response(status=_Response.SERVICE_UNKNOWN)
        return _Response(status=_Response.SERVING if serving else _Response.NOT_SERVING)
