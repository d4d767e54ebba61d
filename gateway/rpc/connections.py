"""The connections of a port we listen on, as the kernel has them, and how they end well.

gRPC can end them in one way only: it sends a GOAWAY and from then on resets every call that comes,
also those that were on their way or waiting to be taken up when it spoke. Their callers see
CANCELLED without a word (grpc/grpc#41785), which tells nobody to call again. So they are ended
beneath gRPC, while it still takes calls and our own code can refuse them in words.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, Set
from typing import NamedTuple

# Where the process's own descriptors are listed: on Linux and on macOS.
_DESCRIPTORS = "/dev/fd"

# An HTTP/2 GOAWAY frame (RFC 9113, 6.8): 8 bytes of type 7 on stream 0, of which the last stream
# that is taken is the highest there can be, and the error none. It tells a client to open no more
# streams here and to close the connection when those it has opened are answered.
GOAWAY = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")


class _Descriptor(NamedTuple):
    """A descriptor and what it stood for: its number may be given to something else."""

    number: int
    inode: int


class Connections:
    """What a gRPC server in this process has open on its TCP port, in clear.

    A client that was told to go away closes its connection when its calls are answered; after
    `patience` more steps it is closed here. A system that does not list a process's descriptors
    has none to show, and gRPC ends them.
    """

    def __init__(self, port: int, patience: int) -> None:
        self._port = port
        self._patience = patience
        # How many steps ago a client was told to go away.
        self._told: dict[_Descriptor, int] = {}

    def stop_listening(self) -> None:
        """Have new connections refused by the kernel, which sends clients elsewhere at once.

        A socket that does not listen takes the listener's descriptor. gRPC, to whom it belongs,
        closes that in its time; the listener's end alone would make it complain on stderr.
        """
        for descriptor, listener in self._sockets(listening=True):
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
        # Of another client that has the same port on another host nothing is lost by waiting.
        spared_ports = {int(peer.rpartition(":")[2]) for peer in spared_peers}
        unfinished = False
        for descriptor, connection in self._sockets(listening=False):
            with contextlib.suppress(OSError):  # the client has gone already
                if connection.getpeername()[1] in spared_ports:
                    unfinished = True
                elif self._told.setdefault(descriptor, -1) == self._patience:
                    connection.shutdown(socket.SHUT_WR)
                else:
                    unfinished = True
                    self._told[descriptor] += 1
                    if self._told[descriptor] == 0:
                        connection.send(GOAWAY, socket.MSG_DONTWAIT)
        return unfinished

    def _sockets(self, *, listening: bool) -> Iterator[tuple[_Descriptor, socket.socket]]:
        """Yield what there is on the port: what listens, or what has been accepted.

        No socket of ours that connects to others can be among it: the kernel gives none the
        number of a port that is listened on.
        """
        for descriptor, found in _sockets():
            if found.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            if found.type != socket.SOCK_STREAM or found.getsockname()[1] != self._port:
                continue
            if bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) is listening:
                yield descriptor, found


def _sockets() -> Iterator[tuple[_Descriptor, socket.socket]]:
    """Yield this process's sockets, each as a copy, so that it stays what it is while we look."""
    try:
        numbers = [int(name) for name in os.listdir(_DESCRIPTORS)]
    except OSError:
        return
    for number in numbers:
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            copy = os.dup(number)
        except OSError:  # gone by now, as that of the listing itself
            continue
        try:
            found = socket.socket(fileno=copy)
        except OSError:  # the number stands for something else by now
            os.close(copy)
            continue
        with found:
            yield _Descriptor(number, os.fstat(copy).st_ino), found
