"""Connections that wait behind one that has been accepted are accepted with it.

libuv accepts one connection in a turn of the event loop. Behind a thousand silent connections an
honest one waited for as many turns: beside eight senders at full speed, for 1.5 s. Fifteen further
handles on the socket, each tried for each connection, made one that comes alone a third dearer; so
this looks once more after each, and goes on only where there is a burst.
"""

import asyncio
import socket
from collections.abc import Callable

# Connections that are accepted in one turn beside the first. Each takes some 0.3 ms
# to be served.
MORE_A_TURN = 16


class Burst:
    """What waits on a listening socket, which an event loop accepts connections on, too."""

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._tasks: set[asyncio.Task[None]] = set()

    def accept(self) -> None:
        """Accept what waits, as far as one turn has time for it. The loop sees to the rest."""
        for _ in range(MORE_A_TURN):
            try:
                connection, _ = self._listener.accept()
            except OSError:  # nothing waits, or the loop deals with what is wrong
                return
            task = asyncio.create_task(self._serve(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client has gone already
            connection.close()
