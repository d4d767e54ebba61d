"""uvicorn inside our event loop."""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import uvicorn

from gateway.server.http.protocol import Observe, RequestProtocol
from gateway.server.http.refusals import IDLE_S
from gateway.server.http.slots import ConnectionSlots, connections_max

# Connections waiting to be accepted; the provider opens many at once after an outage.
_BACKLOG = 1_024

# How long the application has to complete its work on requests whose connections were dropped, in
# seconds: for a commit in progress.
_LAST_WORK_S = 1.0

_logger = logging.getLogger(__name__)


class _QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the application."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: `app.py` owns the signals."""
        yield


class HttpServer:
    """Serves an ASGI application on one address.

    `observe` is given the reason and the peer of each end of a connection that the application does
    not hear of.
    """

    def __init__(self, app: Any, observe: Observe) -> None:
        slots = ConnectionSlots(connections_max())
        protocol = partial(RequestProtocol, observe=observe, slots=slots)
        self._server = _QuietServer(
            uvicorn.Config(
                app,
                http=cast("type[asyncio.Protocol]", protocol),
                timeout_keep_alive=IDLE_S,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Nothing here depends on who asks.
                proxy_headers=False,
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and serve; returns the port. Raises OSError if the address cannot be had."""
        listener = _listen(host, port)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        bound: int = listener.getsockname()[1]
        return bound

    async def stop(self, within_s: float) -> None:
        """Serve what has been received and stop; what is incomplete after `within_s` is dropped.

        uvicorn's own limit would cancel the application in the middle of its work. A connection
        that is closed ends a request whose rest is awaited, and lets a complete one continue.
        """
        self._server.should_exit = True
        if await self._has_ended(within_s):
            return
        connections = list(self._server.server_state.connections)
        _logger.warning("the shutdown drops %d HTTP connections", len(connections))
        for connection in connections:
            connection.transport.abort()
        if not await self._has_ended(_LAST_WORK_S):
            _logger.error("the shutdown leaves HTTP requests that do not complete")
            self._server.force_exit = True

    async def _has_ended(self, within_s: float) -> bool:
        if self._task is None:
            return True
        done, _ = await asyncio.wait([self._task], timeout=within_s)
        return bool(done)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen for HTTP on {host}:{port}: {error.strerror}") from None
    return listener
