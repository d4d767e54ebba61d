"""uvicorn inside our event loop."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import uvicorn

from gateway.http.protocol import IDLE_S, RequestProtocol

# Connections waiting to be accepted; the provider opens many at once after an outage.
_BACKLOG = 1_024


class _QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals to the application."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: `app.py` owns the signals."""
        yield


class HttpServer:
    """Serves an ASGI application on one address.

    `observe` is given the reason of each request that was refused before it reached the
    application.
    """

    def __init__(self, app: Any, drain_s: float, observe: Callable[[str], None]) -> None:
        protocol = partial(RequestProtocol, observe=observe)
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
                timeout_graceful_shutdown=max(1, round(drain_s)),
            )
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen and serve; returns the port. Raises OSError if the address cannot be had."""
        listener = _listen(host, port)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        bound: int = listener.getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Answer what has been received and stop."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


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
