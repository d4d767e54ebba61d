"""TLS in front of an HTTP connection: accepted here, so that its handshake is bounded, too.

A server of asyncio tells nobody of a connection before its handshake has succeeded, keeps one
certificate for ever, and waits a minute. Here a connection takes its slot before its first byte,
and each is served with the certificate that is current when it comes.
"""

import asyncio
import socket

from gateway.server.http.accepting import FairServing

# How long to wait after an accept that failed, in seconds: there are no descriptors, for example.
_PAUSE_S = 0.5


class TlsAcceptor:
    """Accepts connections on a listening socket until it is closed, and has them served."""

    def __init__(self, listener: socket.socket, serving: FairServing) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._serving = serving
        self._task = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Accept no more."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(_PAUSE_S)
                continue
            self._serving.admit(connection, peer)
            self._serving.accept_waiting(self._listener)
