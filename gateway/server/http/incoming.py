"""Where what comes is read into: little of a request before its head is known."""

import asyncio
from typing import Protocol

# Bytes that are read at once before a head is complete: all of a usual webhook. A sender of
# large bodies can have hundreds of connections; what is read of each before it is refused is work.
HEAD_READ_BYTES = 16 * 1024

# And of a body. Half of the largest comes in one piece.
BODY_READ_BYTES = 256 * 1024


class ReadBuffer:
    """The memory that all connections of a server read into, one after the other.

    Whoever is given a part of it takes what was read before the event loop goes on.
    """

    def __init__(self) -> None:
        self.for_body = memoryview(bytearray(BODY_READ_BYTES))
        self.for_head = self.for_body[:HEAD_READ_BYTES]

    def taken(self, size: int) -> bytes:
        """Return the bytes that were read, `size` of them."""
        return bytes(self.for_body[:size])


class Reading(Protocol):
    """What a connection is served by: see `asyncio.Protocol`. `reads_body` says what comes next."""

    @property
    def reads_body(self) -> bool:
        """Whether the head of a request has come, and its body has not."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See `asyncio.BaseProtocol`."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`."""

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""


class BufferedReading(asyncio.BufferedProtocol):
    """Reads into a buffer for a protocol that takes bytes.

    It stands before uvicorn's, which is an `asyncio.Protocol`: uvloop reads into no buffer for one
    of those, whatever else it is, but 256 KiB at once.
    """

    def __init__(self, inner: Reading, buffer: ReadBuffer) -> None:
        self._inner = inner
        self._buffer = buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._inner.connection_made(transport)  # type: ignore[arg-type]

    def get_buffer(self, sizehint: int) -> memoryview:
        """See `asyncio.BufferedProtocol`."""
        return self._buffer.for_body if self._inner.reads_body else self._buffer.for_head

    def buffer_updated(self, nbytes: int) -> None:
        """See `asyncio.BufferedProtocol`."""
        self._inner.data_received(self._buffer.taken(nbytes))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._inner.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """See `asyncio.BufferedProtocol`."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._inner.resume_writing()
