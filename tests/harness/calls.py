"""Calls without a server: what handlers see, over a wire that the test holds in its hand."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.server.call import Call, Metadata, Wire

M = TypeVar("M")

PEER = "ipv4:192.0.2.1:40000"


async def _into_nothing(_response: bytes) -> None:
    pass


class HeldWire:
    """A wire whose writes and deadline are functions of the test's."""

    def __init__(
        self,
        write: Callable[[bytes], Awaitable[None]] = _into_nothing,
        left_s: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.write = write
        self.time_remaining = left_s

    def peer(self) -> str:
        return PEER

    def invocation_metadata(self) -> Metadata | None:
        return None


def call_of(message: M, wire: Wire | None = None) -> Call[M]:
    """Return a call with this message."""
    call: Call[M] = Call("s/M", wire or HeldWire(), began=0.0)
    call.message = message
    return call
