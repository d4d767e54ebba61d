"""TLS in front of an HTTP connection: accepted here, so that its handshake is bounded, too.

A server of asyncio tells nobody of a connection before its handshake has succeeded, keeps one
certificate for ever, and waits a minute. Here a connection takes its slot before its first byte,
and each is served with the certificate that is current when it comes.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from gateway.server.http.refusals import HEAD_S
from gateway.server.http.slots import Connection, ConnectionSlots, Slots
from gateway.tls.current import CurrentCredentials

# The reasons of ends before there is a connection that could be given a response.
HANDSHAKE_FAILED = "TLS_HANDSHAKE_FAILED"
NO_SLOT = "TOO_MANY_CONNECTIONS"

# How long to wait after an accept that failed, in seconds: there are no descriptors, for example.
_PAUSE_S = 0.5


class TlsAcceptor:
    """Accepts connections on a listening socket until it is closed.

    `protocol` makes what serves a connection that has a slot among those it is given. `observe` is
    given the reason and the peer of each connection that comes to nothing.
    """

    def __init__(
        self,
        listener: socket.socket,
        certificates: CurrentCredentials,
        slots: ConnectionSlots,
        protocol: Callable[[Slots], asyncio.BufferedProtocol],
        observe: Callable[[str, str], None],
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._certificates = certificates
        self._slots = slots
        self._protocol = protocol
        self._observe = observe
        self._handshakes: set[asyncio.Task[None]] = set()
        self._task = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Accept no more, and give up handshakes that are not complete."""
        tasks = [self._task, *self._handshakes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, peer = await loop.sock_accept(self._listener)
            except OSError:
                await asyncio.sleep(_PAUSE_S)
                continue
            address = peer[0] if isinstance(peer, tuple) else ""
            handshake = _Handshake(address, self._slots, self._observe)
            if not self._slots.enter(handshake):
                connection.close()
                self._observe(NO_SLOT, address)
                continue
            handshake.task = task = asyncio.create_task(self._serve(connection, handshake))
            self._handshakes.add(task)
            task.add_done_callback(partial(self._ended, connection, handshake))

    def _ended(
        self, connection: socket.socket, handshake: "_Handshake", task: asyncio.Task[None]
    ) -> None:
        self._handshakes.discard(task)
        if not handshake.has_begun:
            # It was given up before the loop came to it; else its transport closes it.
            connection.close()

    async def _serve(self, connection: socket.socket, handshake: "_Handshake") -> None:
        handshake.has_begun = True
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._protocol(handshake),
                connection,
                ssl=self._certificates.current.context,
                ssl_handshake_timeout=HEAD_S,
            )
        except OSError:
            self._observe(HANDSHAKE_FAILED, handshake.address)
        finally:
            self._slots.leave(handshake)


class _Handshake:
    """Holds the slot of a connection until its handshake is over; then the connection has it."""

    is_busy = False

    def __init__(
        self, address: str, slots: ConnectionSlots, observe: Callable[[str, str], None]
    ) -> None:
        self.address = address
        self.has_begun = False
        self.task: asyncio.Task[None] | None = None
        self._slots = slots
        self._observe = observe

    def give_way(self) -> None:
        """See `Connection`."""
        if self.task is not None:
            self.task.cancel()
            self._observe(NO_SLOT, self.address)

    def enter(self, connection: Connection) -> bool:
        """See `Slots`."""
        self._slots.leave(self)
        return self._slots.enter(connection)

    def served(self, connection: Connection) -> None:
        """See `Slots`."""
        self._slots.served(connection)

    def leave(self, connection: Connection) -> None:
        """See `Slots`."""
        self._slots.leave(connection)
