"""Connections that flood the gateway are held: nothing of theirs is read, and then they are closed.

gRPC bounds what one connection can make it remember, not how much work it makes. What costs us work
without being a call that somebody waits for is seen from two sides: calls that are given up
(`Peers`), and bytes that no call explains (here): PING, SETTINGS, PRIORITY, empty DATA, metadata
and CONTINUATION frames, refused streams, whatever comes next.

To close such a connection at once would only have its client open another and start over, with as
many calls as a connection may have. A client whose bytes the kernel drops waits, as on a broken
network. Where the kernel cannot do that (it is Linux's), the connection is closed at once.

On a socket file nobody is held. The kernel counts no bytes there, the file's mode says who may
connect, and gRPC gives all clients one name: to hold one would be to hold them all.
"""

import asyncio
import contextlib
import ctypes
import os
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from gateway.records.connections import ConnectionClosed, ConnectionHeld
from gateway.records.observer import Observer
from gateway.server.grpc.sockets import (
    UNIX_PEER,
    Bound,
    Descriptor,
    bytes_received,
    connections_on,
)
from gateway.tokenbucket import TokenBucket

# How often connections are looked at, in seconds, and how often if ever new ones flood: a look at a
# thousand takes some 8 ms of the event loop.
LOOK_EVERY_S = 0.5
LOOK_AT_MOST_EVERY_S = 0.05

# Bytes of a connection that no call explains, at once and in a second: far above what health
# checks, reflection and keep-alive take, and some of the largest requests that are still to come.
UNEXPLAINED_MAX = 8 * 1024 * 1024
UNEXPLAINED_PER_S = 512 * 1024

# How long a connection is held before it is closed, in seconds: longer than clients wait before
# they connect again, and short for one whose fault was mended.
HELD_S = 10.0

# Linux's numbers (asm-generic/socket.h) and the one instruction that takes nothing of any packet
# (linux/filter.h: BPF_RET | BPF_K, 0).
_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
_TAKE_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
_LINUX = sys.platform == "linux"


@dataclass(slots=True)
class _Connection:
    """A connection that is looked at: how much had come, and what more needs no explanation."""

    peer: str
    family: int
    unexplained: TokenBucket
    received: int = 0
    held: ConnectionHeld | None = None
    held_at: float = 0.0
    is_closed: bool = False


class Floods:
    """Holds and ends connections to an address that flood it.

    `explained` returns how many bytes a peer may well have sent since it was asked before.
    `observe` is told of what is held and closed. `now` is the monotonic clock, in seconds.
    """

    def __init__(
        self,
        bound: Bound,
        explained: Callable[[str], int],
        observe: Observer[ConnectionHeld | ConnectionClosed],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._bound = bound
        self._explained = explained
        self._observe = observe
        self._now = now
        # None stands for a socket that is none of the address's connections.
        self._known: dict[Descriptor, _Connection | None] = {}
        # Peers that flood by a connection which no look has shown yet, and how.
        self._sought: dict[str, str] = {}
        self._is_sought = asyncio.Event()

    @property
    def connections(self) -> list[str]:
        """Who was connected at the last look, each by its peer."""
        return [it.peer for it in self._known.values() if it is not None]

    async def sought(self) -> None:
        """Return when it is time for a look: a connection floods that the last one has not seen."""
        await self._is_sought.wait()

    async def look(self) -> None:
        """Look at all connections once: hold those that flood, end those held for long enough."""
        # Who is sought from here on is for the next look; this one may be too early for it.
        sought, self._sought = self._sought, {}
        self._is_sought.clear()
        # A socket that could not be looked at, for want of descriptors, may be a connection.
        met = frozenset(it for it, connection in self._known.items() if connection is not None)
        seen = frozenset[Descriptor]() if sought else frozenset(self._known)
        found, new = await asyncio.to_thread(connections_on, self._bound, seen, met)
        now = self._now()
        self._known = {it: self._known.get(it) for it in found}
        for descriptor, peer, family in new:
            bucket = TokenBucket(UNEXPLAINED_PER_S, UNEXPLAINED_MAX, self._now)
            self._known[descriptor] = _Connection(peer, family, bucket)
        for descriptor, connection in self._known.items():
            if connection is None or connection.peer == UNIX_PEER:
                continue
            if connection.held is not None:
                if now >= connection.held_at + connection.held.for_s:
                    self._close(descriptor, connection, connection.held)
                continue
            received = bytes_received(descriptor.number, connection.family)
            new_bytes = received - connection.received
            connection.received = received
            connection.unexplained.spend(new_bytes - self._explained(connection.peer))
            if connection.unexplained.held < 0:
                self._hold(descriptor, connection, "BYTES_WITHOUT_CALL")
            elif connection.peer in sought:
                self._hold(descriptor, connection, sought[connection.peer])

    def flooded(self, peer: str, kind: str) -> None:
        """Hold the connection of a peer, if it is still there: at once, or with the next look."""
        if peer == UNIX_PEER:
            return
        for descriptor, connection in self._known.items():
            if connection is not None and connection.peer == peer:
                self._hold(descriptor, connection, kind)
                return
        self._sought[peer] = kind
        self._is_sought.set()

    def _hold(self, descriptor: Descriptor, connection: _Connection, kind: str) -> None:
        if connection.held is not None:
            return
        copy = _copy(descriptor)
        if copy is None:
            return
        with copy:
            for_s = HELD_S if _take_nothing(copy) else 0.0
        held = connection.held = ConnectionHeld(connection.peer, kind, for_s)
        connection.held_at = self._now()
        self._observe(held)
        if not for_s:
            self._close(descriptor, connection, held)

    def _close(self, descriptor: Descriptor, connection: _Connection, held: ConnectionHeld) -> None:
        copy = _copy(descriptor)
        if copy is None:
            return
        with copy:
            _close(copy)
        # gRPC may keep the descriptor for some looks more.
        if not connection.is_closed:
            connection.is_closed = True
            began = connection.held_at
            closed = ConnectionClosed(held.peer, held.kind, began, self._now() - began)
            self._observe(closed)


def _copy(descriptor: Descriptor) -> socket.socket | None:
    """Return a copy of a socket, None if the descriptor stands for something else by now."""
    try:
        number = os.dup(descriptor.number)
    except OSError:
        return None
    if os.fstat(number).st_ino != descriptor.inode:
        os.close(number)
        return None
    return socket.socket(fileno=number)


def _take_nothing(connection: socket.socket) -> bool:
    """Have the kernel drop what comes for a connection; false where it cannot."""
    if not _LINUX:
        return False
    program = ctypes.create_string_buffer(_TAKE_NOTHING, len(_TAKE_NOTHING))
    filter_ = struct.pack("HP", 1, ctypes.addressof(program))
    try:
        connection.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
    except OSError:
        return False
    return True


def _close(connection: socket.socket) -> None:
    """Have both ends see the end of a connection. gRPC, to whom it belongs, then closes it."""
    with contextlib.suppress(OSError):  # the client has gone already
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):  # nothing was attached
        # Else the client would hear nothing of the end when it goes on sending.
        connection.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
