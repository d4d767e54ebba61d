"""uvicorn inside our event loop."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, cast

import uvicorn

from gateway.address import Address, TcpAddress
from gateway.server.http.accepting import FairServing
from gateway.server.http.incoming import BufferedReading, ReadBuffer
from gateway.server.http.protocol import RequestProtocol
from gateway.server.http.refusals import IDLE_S, Observe
from gateway.server.http.slots import ConnectionSlots, Slots
from gateway.server.http.tls import TlsAcceptor
from gateway.socketfile import SocketFilePlace
from gateway.tls.current import CurrentCredentials

# Connections waiting to be accepted; the provider opens many at once after an outage.
_BACKLOG = 1_024

# How long the application has to complete its work on requests whose connections were dropped, in
# seconds: for a commit in progress.
_LAST_WORK_S = 1.0

# An ASGI application.
Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]

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
    not hear of. `connections_max` may be open at one time.
    """

    def __init__(self, app: Application, observe: Observe, connections_max: int) -> None:
        self._slots = ConnectionSlots(connections_max)
        self._observe = observe
        self._buffer = ReadBuffer()
        self._server = _QuietServer(
            uvicorn.Config(
                app,
                http=cast("type[asyncio.Protocol]", self._accepted),
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
        self._place: SocketFilePlace | None = None
        self._acceptor: TlsAcceptor | None = None
        self._fair: FairServing | None = None
        # In clear: uvicorn accepts on it, and so do we what waits behind.
        self._listener: socket.socket | None = None

    async def start(
        self, address: Address, certificates: CurrentCredentials | None = None
    ) -> Address:
        """Listen and serve; returns the address, with the port that it has got.

        With `certificates` in TLS, else in clear. Raises OSError if the address cannot be had.
        """
        try:
            listener = self._listen(address)
        except OSError as error:
            raise OSError(f"cannot listen for HTTP on {address}: {error.strerror}") from None
        bound: Address = address
        if isinstance(address, TcpAddress):
            bound = TcpAddress(address.host, listener.getsockname()[1])
        self._fair = FairServing(self._slots, self._protocol, self._observe, certificates)
        if certificates is None:
            self._listener = listener
            self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
            return bound
        self._server.config.load()
        self._task = asyncio.create_task(self._server.serve(sockets=[]))
        self._acceptor = TlsAcceptor(listener, self._fair)
        return bound

    async def stop(self, within_s: float) -> None:
        """Serve what has been received and stop; what is incomplete after `within_s` is dropped.

        uvicorn's own limit would cancel the application in the middle of its work. A connection
        that is closed ends a request whose rest is awaited, and lets a complete one continue.
        """
        if self._place is not None:
            self._place.remove()
        try:
            if self._acceptor is not None:
                await self._acceptor.close()
            if self._fair is not None:
                # Before uvicorn tells its connections to end: who comes later is not told.
                await self._fair.close()
        finally:
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

    def _protocol(self, slots: Slots) -> asyncio.BufferedProtocol:
        """Return what serves one connection, as uvicorn makes it for those that it accepts."""
        return self._serving(self._server.config, self._server.server_state, {}, slots=slots)

    def _accepted(self, *uvicorns: Any, **named: Any) -> asyncio.BufferedProtocol:
        """Return what serves a connection that uvicorn has accepted, and see who waits behind."""
        if self._fair is not None and self._listener is not None:
            self._fair.accept_waiting(self._listener)
        return self._serving(*uvicorns, slots=self._slots, **named)

    def _serving(self, *uvicorns: Any, slots: Slots, **named: Any) -> asyncio.BufferedProtocol:
        served = RequestProtocol(*uvicorns, observe=self._observe, slots=slots, **named)
        return BufferedReading(served, self._buffer)

    def _listen(self, address: Address) -> socket.socket:
        if isinstance(address, TcpAddress):
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            return _listener(family, (address.host, address.port))
        self._place = SocketFilePlace(address.path)
        with self._place.hidden() as path:
            return _listener(socket.AF_UNIX, str(path))


def _listener(family: socket.AddressFamily, name: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family != socket.AF_UNIX:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(name)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
