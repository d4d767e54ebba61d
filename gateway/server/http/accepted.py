"""A connection between its accept and the protocol that serves it."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from gateway.server.http.refusals import HEAD_S, TOO_MANY_CONNECTIONS, Observe
from gateway.server.http.slots import Connection, ConnectionSlots, Slots

# The reason of an end before there is a connection that could be given a response.
HANDSHAKE_FAILED = "TLS_HANDSHAKE_FAILED"

# Makes what serves a connection that has a slot among those it is given.
NewProtocol: TypeAlias = Callable[[Slots], asyncio.BufferedProtocol]


class Accepted:
    """Holds the slot of a connection until its protocol does.

    With a `context` it begins with a handshake in TLS, else it is served in clear.
    """

    def __init__(
        self,
        connection: socket.socket,
        address: str,
        slots: ConnectionSlots,
        observe: Observe,
        context: ssl.SSLContext | None,
    ) -> None:
        self.address = address
        self.has_ended = False
        self._connection = connection
        self._slots = slots
        self._observe = observe
        self._context = context
        self._has_begun = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it is on its way to its protocol, in clear: that takes a turn of the loop.

        A transport that is given up then is closed without a word to its protocol, which would hold
        its slot for ever.
        """
        return self._task is not None and self._context is None

    def begin(self, protocol: NewProtocol) -> asyncio.Task[None]:
        """Begin to serve it; returns what ends as soon as the protocol has it."""
        self._slots.begin(self)
        self._task = asyncio.create_task(self._serve(protocol))
        self._task.add_done_callback(self._served)
        return self._task

    def give_way(self) -> None:
        """End it, for another connection to have the slot; in clear it is told so."""
        self._observe(TOO_MANY_CONNECTIONS.reason, self.address)
        if self._context is None:
            with suppress(OSError):
                self._connection.send(TOO_MANY_CONNECTIONS.encoded())
        self.end()

    def end(self) -> None:
        """End it without a word."""
        self.has_ended = True
        if self._task is not None:
            self._task.cancel()
            return
        self._slots.leave(self)
        self._connection.close()

    def enter(self, connection: Connection) -> bool:
        """See `Slots`. One that has been ended has none, though its handshake succeeds yet."""
        self._slots.leave(self)
        return not self.has_ended and self._slots.enter(connection)

    def served(self, connection: Connection) -> None:
        """See `Slots`."""
        self._slots.served(connection)

    def leave(self, connection: Connection) -> None:
        """See `Slots`."""
        self._slots.leave(connection)

    async def _serve(self, protocol: NewProtocol) -> None:
        self._has_begun = True
        context = self._context
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol(self),
                self._connection,
                ssl=context,
                ssl_handshake_timeout=None if context is None else HEAD_S,
            )
        except OSError:
            if context is None:  # the client has gone already
                self._connection.close()
            else:
                self._observe(HANDSHAKE_FAILED, self.address)
        finally:
            self._slots.leave(self)

    def _served(self, task: asyncio.Task[None]) -> None:
        if not self._has_begun:
            # It was given up before the loop came to it; else its transport closes it.
            self._slots.leave(self)
            self._connection.close()
