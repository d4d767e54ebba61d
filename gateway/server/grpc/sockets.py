"""The process's own sockets on an address it listens on, as the kernel has them.

gRPC shows none of its sockets, so the process's descriptors are looked through for them. A system
that does not list those has none to show.
"""

import contextlib
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple, TypeAlias

# Where the process's own descriptors are listed: on Linux and on macOS.
_DESCRIPTORS = "/dev/fd"

# Linux's numbers (linux/tcp.h: `tcpi_bytes_received`, the bytes that have come in order on a
# connection).
_TCP_INFO, _BYTES_RECEIVED_AT = 11, 128
_LINUX = sys.platform == "linux"

# What a socket is bound to, as the kernel has it: a TCP port, or the name under which a socket file
# was made.
Bound: TypeAlias = int | str

# How gRPC names who is at the other end of a socket file: all alike, because clients bind theirs to
# nothing.
UNIX_PEER = "unix:"


class Descriptor(NamedTuple):
    """A descriptor and what it stood for: its number may be given to something else."""

    number: int
    inode: int


def sockets_on(bound: Bound, *, listening: bool) -> Iterator[tuple[Descriptor, socket.socket]]:
    """Yield what there is on an address: what listens, or what has been accepted.

    Each comes as a copy, so that it stays what it is while somebody looks. No socket of ours that
    connects to others can be among it: the kernel gives none the number of a port that is listened
    on.
    """
    for descriptor in socket_descriptors():
        try:
            copy = os.dup(descriptor.number)
        except OSError:  # gone by now
            continue
        try:
            found = socket.socket(fileno=copy)
        except OSError:  # the number stands for something else by now
            os.close(copy)
            continue
        with found:
            if found.type != socket.SOCK_STREAM or _bound_to(found) != bound:
                continue
            if bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) is listening:
                yield Descriptor(descriptor.number, os.fstat(copy).st_ino), found


class Accepted(NamedTuple):
    """A connection of an address: its descriptor, who is at its other end, its socket's family."""

    descriptor: Descriptor
    peer: str
    family: int


class Looked(NamedTuple):
    """What a look shows: all sockets of this process, and connections not met before."""

    sockets: Sequence[Descriptor]
    new: Sequence[Accepted]


def connections_on(bound: Bound, seen: Set[Descriptor], met: Set[Descriptor]) -> Looked:
    """Return the sockets of this process, and the connections of an address that are not `met`.

    Connections are looked for only where there are sockets not `seen` before. Call it in a thread:
    each of its thousands of calls to the kernel gives up the interpreter, and waits for the switch
    interval (`gateway.process`) where another thread computes. With a thousand connections and a
    response of 2 MB being read, an event loop stood still for 1.5 s.
    """
    found = tuple(socket_descriptors())
    if seen >= set(found):
        return Looked(found, ())
    new: list[Accepted] = []
    for descriptor, connection in sockets_on(bound, listening=False):
        if descriptor not in met:
            with contextlib.suppress(OSError):  # the client has gone already
                peer = peer_name(connection.getpeername())
                new.append(Accepted(descriptor, peer, connection.family))
    return Looked(found, new)


def socket_descriptors() -> Iterator[Descriptor]:
    """Yield the descriptors of this process that are sockets."""
    try:
        numbers = [int(name) for name in os.listdir(_DESCRIPTORS)]
    except OSError:
        return
    for number in numbers:
        try:
            found = os.fstat(number)
        except OSError:  # gone by now, as that of the listing itself
            continue
        if stat.S_ISSOCK(found.st_mode):
            yield Descriptor(number, found.st_ino)


def bytes_received(number: int, family: int) -> int:
    """Return how many bytes have come on a connection so far, zero where that is not told."""
    # Without a copy: while there is one, gRPC cannot really close the connection. At the worst the
    # number stands for something else by now.
    if not _LINUX or family == socket.AF_UNIX:
        return 0
    try:
        looked_at = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=number)
    except OSError:
        return 0
    try:
        info = looked_at.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_RECEIVED_AT + 8)
    except OSError:
        return 0
    finally:
        looked_at.detach()
    if len(info) < _BYTES_RECEIVED_AT + 8:
        return 0
    return int(struct.unpack_from("Q", info, _BYTES_RECEIVED_AT)[0])


def peer_name(address: tuple[str, int] | str | bytes) -> str:
    """Return how gRPC names who is at a socket's other end."""
    if isinstance(address, str | bytes):
        return UNIX_PEER
    host, port = address[0].removeprefix("::ffff:"), address[1]
    return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"


def _bound_to(found: socket.socket) -> Bound | None:
    if found.family in (socket.AF_INET, socket.AF_INET6):
        return int(found.getsockname()[1])
    if found.family == socket.AF_UNIX:
        name = found.getsockname()
        return name if isinstance(name, str) else None
    return None
