"""The connections of an address we listen on, as the kernel has them, and how they end well.

gRPC can end them in one way only: it sends a GOAWAY and from then on resets every call that comes,
also those that were on their way or waiting to be taken up when it spoke. Their callers see
CANCELLED without a word (grpc/grpc#41785), after which nobody knows to retry. So they are ended
beneath gRPC, while it still takes calls and our own code can refuse them in words.

In TLS nobody but gRPC can write to a client, and so it cannot be told to go. There a connection is
closed in a moment in which nothing comes on it: then no call is on its way. A client that never
stops calling is closed all the same; it has been refused in words for that long, and a call that
meets the very end fails with UNAVAILABLE as those do, only without a word.
"""

import contextlib
import os
import socket
from collections.abc import Set
from dataclasses import dataclass

from gateway.server.grpc.sockets import (
    Bound,
    Descriptor,
    bytes_received,
    peer_name,
    sockets_on,
)

# An HTTP/2 GOAWAY frame (RFC 9113, 6.8): 8 bytes of type 7 on stream 0, of which the last stream
# that is taken is the highest there can be, and the error none. It tells a client to open no more
# streams here and to close the connection when those it has opened have ended.
GOAWAY = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")

# How many times the patience a client is waited for that is never quiet.
_NEVER_QUIET = 2


@dataclass(slots=True)
class _Quiet:
    """How many bytes had come on a connection, and for how many steps none has come since."""

    received: int = -1
    steps: int = 0
    waited: int = 0


class Connections:
    """What a gRPC server in this process has open on its address, `in_clear` or in TLS.

    A client that was told to go away closes its connection when its calls have ended; after
    `patience` more steps it is closed here. So is one that cannot be told, when nothing comes for
    so many steps, or after twice as many. A system that does not list a process's descriptors
    has none to show, and gRPC ends them.
    """

    def __init__(self, bound: Bound, patience: int, *, in_clear: bool = True) -> None:
        self._bound = bound
        self._in_clear = in_clear
        self._patience = patience
        # How many steps ago a client was told to go away.
        self._told: dict[Descriptor, int] = {}
        # Of a client that cannot be told: how long it has been waited for, and was quiet.
        self._quiet: dict[Descriptor, _Quiet] = {}

    def stop_listening(self) -> None:
        """Have new connections refused by the kernel, which sends clients elsewhere at once.

        A socket that does not listen takes the listener's descriptor. gRPC, to whom it belongs,
        closes that in its time; the listener's end alone would make it complain on stderr.
        """
        for descriptor, listener in sockets_on(self._bound, listening=True):
            with socket.socket(listener.family, socket.SOCK_STREAM) as deaf:
                os.dup2(deaf.fileno(), descriptor.number, inheritable=False)

    def end(self, spared_peers: Set[str] = frozenset()) -> bool:
        """Go one step towards the end of all connections but those to `spared_peers`.

        Peers are named as gRPC does (`ipv4:127.0.0.1:40000`). The first step tells the client to
        go away, the last closes the connection for writing: the client gets what has been written
        and then the end, and nothing of what gRPC may write later. Returns whether there are
        connections that need a further step.

        The frame is written between those that gRPC writes, for connections without a call in
        flight: should it ever come into the middle of one, then of a refusal, whose caller sees
        the connection break. So spare who has calls in flight.
        """
        # Of another client that has the same port on another host nothing is lost by waiting, nor
        # of others on a socket file, where all have one name.
        spared = {_port_of(peer) for peer in spared_peers}
        unfinished = False
        for descriptor, connection in sockets_on(self._bound, listening=False):
            with contextlib.suppress(OSError):  # the client has gone already
                if _port_of(peer_name(connection.getpeername())) in spared:
                    unfinished = True
                elif not self._in_clear:
                    if self._may_close(descriptor, connection):
                        connection.shutdown(socket.SHUT_WR)
                    else:
                        unfinished = True
                elif self._told.setdefault(descriptor, -1) == self._patience:
                    connection.shutdown(socket.SHUT_WR)
                else:
                    unfinished = True
                    self._told[descriptor] += 1
                    if self._told[descriptor] == 0:
                        connection.send(GOAWAY, socket.MSG_DONTWAIT)
        return unfinished

    def _may_close(self, descriptor: Descriptor, connection: socket.socket) -> bool:
        quiet = self._quiet.setdefault(descriptor, _Quiet())
        received = bytes_received(descriptor.number, connection.family)
        quiet.steps = quiet.steps + 1 if received == quiet.received else 0
        quiet.received = received
        quiet.waited += 1
        return quiet.steps >= self._patience or quiet.waited > _NEVER_QUIET * self._patience


def _port_of(peer: str) -> str:
    return peer.rpartition(":")[2]
