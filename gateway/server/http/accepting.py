"""Who waits to be served on a listening socket, and in which order.

libuv accepts one connection in a turn of the event loop. Behind a thousand silent connections an
honest one waited for as many turns: beside eight senders at full speed, for 1.5 s. So what waits
behind an accepted connection is accepted with it, which takes some 10 us each, and then served,
which takes 300, in turn for each address: a burst keeps its own address waiting, and no other. A
connection that comes alone pays for one look: it is served as libuv accepts it, since to serve it
from here costs a seventh more.
"""

import asyncio
import socket
from collections import deque

from gateway.server.http.accepted import Accepted, NewProtocol
from gateway.server.http.refusals import Observe
from gateway.server.http.slots import ConnectionSlots
from gateway.tls.current import CurrentCredentials

# Connections that are accepted, and that begin to be served, in one turn of the event loop.
ACCEPTED_A_TURN = 64
SERVED_A_TURN = 4

# The share of the slots that may be taken by connections that wait, while others are free: more
# wait in the kernel, and a burst that is served as quickly as it may be refuses nobody. Once all
# slots are taken it is no such burst, and whoever comes behind it must get in.
WAITING_SHARE = 0.5


class FairServing:
    """Serves accepted connections by `protocol`, a few in each turn, in turn for each address.

    A connection holds one of the `slots` from its accept. `observe` is given the reason and the
    peer of each that comes to nothing. With `certificates` they are served in TLS, by what is
    current when they come, else in clear.
    """

    def __init__(
        self,
        slots: ConnectionSlots,
        protocol: NewProtocol,
        observe: Observe,
        certificates: CurrentCredentials | None = None,
    ) -> None:
        self._slots = slots
        self._protocol = protocol
        self._observe = observe
        self._certificates = certificates
        # By address, the one whose turn it is first.
        self._waiting: dict[str, deque[Accepted]] = {}
        self._begun: set[asyncio.Task[None]] = set()
        self._serving: asyncio.Task[None] | None = None
        self._is_closed = False

    def accept_waiting(self, listener: socket.socket) -> None:
        """Accept what waits, as far as a turn has time for it."""
        if self._is_closed:
            return
        slots, most = self._slots, WAITING_SHARE * self._slots.limit
        for _ in range(ACCEPTED_A_TURN):
            if slots.waiting >= most and not slots.are_taken:
                return
            try:
                connection, peer = listener.accept()
            except OSError:  # nothing waits; or what is wrong comes of the next accept, too
                return
            connection.setblocking(False)
            self.admit(connection, peer)

    def admit(self, connection: socket.socket, peer: object) -> None:
        """Serve a connection when it is its turn, if there is a slot for it, or else refuse it."""
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        certificates = self._certificates
        context = None if certificates is None else certificates.current.context
        accepted = Accepted(connection, address, self._slots, self._observe, context)
        if not self._slots.wait(accepted):
            accepted.give_way()
            return
        self._waiting.setdefault(address, deque()).append(accepted)
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve())

    async def close(self) -> None:
        """Take no more. In clear, serve what waits; in TLS, give up what is not complete."""
        self._is_closed = True
        if self._certificates is not None:
            while (accepted := self._next()) is not None:
                accepted.end()
            for task in self._begun:
                task.cancel()
        if self._serving is not None:
            await self._serving
        await asyncio.gather(*self._begun, return_exceptions=True)

    async def _serve(self) -> None:
        try:
            while self._waiting:
                for _ in range(SERVED_A_TURN):
                    if (accepted := self._next()) is None:
                        break
                    task = accepted.begin(self._protocol)
                    self._begun.add(task)
                    task.add_done_callback(self._begun.discard)
                await asyncio.sleep(0)
        finally:
            self._serving = None

    def _next(self) -> Accepted | None:
        """Return whose turn it is of those that still wait, and put its address last."""
        while self._waiting:
            address = next(iter(self._waiting))
            same = self._waiting.pop(address)
            accepted = same.popleft()
            if same:
                self._waiting[address] = same
            if not accepted.has_ended:
                return accepted
        return None
