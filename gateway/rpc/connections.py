"""The connections of a port we listen on, as the kernel has them.

gRPC can close them in one way only: it announces the end (GOAWAY), and resets every call that comes
after, also those that were on their way when it spoke. Their callers see CANCELLED without a word
(grpc/grpc#41785), which tells nobody to call again. So connections are closed beneath gRPC, one by
one, while it still takes calls and our own code refuses them in words.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, Set
from typing import NamedTuple

# Where the process's own descriptors are listed: on Linux and on macOS.
_DESCRIPTORS = "/dev/fd"


class _Descriptor(NamedTuple):
    """A descriptor and what it stood for: its number may be given to something else."""

    number: int
    inode: int


class Connections:
    """What a gRPC server in this process has open on its TCP port.

    A system that does not list a process's descriptors has none to show, and gRPC closes them.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._accepted: frozenset[_Descriptor] | None = None

    def stop_listening(self) -> None:
        """Have new connections refused by the kernel, which sends clients elsewhere at once.

        A socket that does not listen takes the listener's descriptor. gRPC, to whom it belongs,
        closes that in its time; the listener's end alone would make it complain on stderr.
        """
        for descriptor in _descriptors():
            with _socket(descriptor) as listener:
                if listener is None or not _is_listening(listener, self._port):
                    continue
                with socket.socket(listener.family, socket.SOCK_STREAM) as deaf:
                    os.dup2(deaf.fileno(), descriptor.number, inheritable=False)

    def close(self, spared_peers: Set[str] = frozenset()) -> bool:
        """Close all but those to `spared_peers`; return whether there were any to be spared.

        Peers are named as gRPC does (`ipv4:127.0.0.1:40000`). A connection is closed for writing:
        the client gets all that has been written, then the end, and nothing of what gRPC writes
        later. What has been accepted is looked up once, so call `stop_listening` before.
        """
        if self._accepted is None:
            self._accepted = frozenset(_descriptors())
        # Of another client that has the same port on another host nothing is lost by waiting.
        spared_ports = {peer.rpartition(":")[2] for peer in spared_peers}
        spared = False
        for descriptor in self._accepted:
            with _socket(descriptor) as connection:
                if connection is None or not _is_accepted(connection, self._port):
                    continue
                with contextlib.suppress(OSError):  # gone already
                    if str(connection.getpeername()[1]) in spared_ports:
                        spared = True
                    else:
                        connection.shutdown(socket.SHUT_WR)
        return spared


def _descriptors() -> Iterator[_Descriptor]:
    """Yield this process's sockets."""
    try:
        numbers = [int(name) for name in os.listdir(_DESCRIPTORS)]
    except OSError:
        return
    for number in numbers:
        with contextlib.suppress(OSError):  # such as that of the listing itself
            found = os.fstat(number)
            if stat.S_ISSOCK(found.st_mode):
                yield _Descriptor(number, found.st_ino)


@contextlib.contextmanager
def _socket(descriptor: _Descriptor) -> Iterator[socket.socket | None]:
    """Give what a descriptor stood for, None if it is gone.

    It is looked at through a copy, which cannot become anything else while we do.
    """
    try:
        copy = os.dup(descriptor.number)
    except OSError:
        yield None
        return
    if os.fstat(copy).st_ino != descriptor.inode:
        os.close(copy)
        yield None
        return
    with socket.socket(fileno=copy) as found:
        yield found


def _is_listening(found: socket.socket, port: int) -> bool:
    return _is_on(found, port) and _listens(found)


def _is_accepted(found: socket.socket, port: int) -> bool:
    return _is_on(found, port) and not _listens(found)


def _is_on(found: socket.socket, port: int) -> bool:
    if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
        return False
    bound: int = found.getsockname()[1]
    return bound == port


def _listens(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
