"""Calls without a server: what handlers see, over a wire that the test holds in its hand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.server.call import AuthContext, Call, Metadata, Unbounded, Wire

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
        metadata: Metadata | None = None,
        peer: str = PEER,
    ) -> None:
        self._peer = peer
        self._metadata = metadata
        self.write = write
        self.time_remaining = left_s

    def peer(self) -> str:
        return self._peer

    def invocation_metadata(self) -> Metadata | None:
        return self._metadata

    def auth_context(self) -> AuthContext:
        return {}


class HeldOutflow(Unbounded):
    """Has room for everything, and lets large responses be made when a test lets it."""

    def __init__(self) -> None:
        # How often it was asked to.
        self.asked = 0
        self.lets = asyncio.Event()
        # Responses that looked for room.
        self.sizes: list[int] = []

    async def prepare(self) -> None:
        self.asked += 1
        await self.lets.wait()

    async def stream(self, size: int) -> int:
        self.sizes.append(size)
        return size


def call_of(message: M, wire: Wire | None = None) -> Call[M]:
    """Return a call with this message."""
    call: Call[M] = Call("s/M", wire or HeldWire(), began=0.0)
    call.message = message
    return call
