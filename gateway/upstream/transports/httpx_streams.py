"""Streams of httpx's connections, which do what httpcore 1.0.9 leaves out.

* A request can be ended on them. Cancelling one inside httpcore can lose its connection for good
  (httpcore#1093): the pool counts it as in use, and is full of such ones in the end. A connection
  that is closed beneath a request fails the request instead, and httpcore knows what to do with
  that.
* The head of a response is bounded, interim responses (1xx) included, of which httpcore reads any
  number.
* What came behind a response is never taken for the response to the next request, which httpcore
  does: such a connection is closed.
"""

import asyncio
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore

# The most that is read before the head of a response has come, in bytes. Servers commonly write
# less than 8 KiB; h11 takes an interim response of 25 bytes in 30 us of the event loop.
HEAD_BYTES_MAX = 32 * 1024


class Use:
    """One request's use of a connection."""

    def __init__(self) -> None:
        self.has_ended = False
        # How much may still be read before the head has come; None once it has.
        self.head_left: int | None = HEAD_BYTES_MAX
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._closing: asyncio.Task[None] | None = None

    def begin(self, stream: httpcore.AsyncNetworkStream) -> None:
        """Take note of the stream that the request is written to."""
        self._stream = stream

    def head_has_come(self) -> None:
        """Take note that what is read from now on is the body."""
        self.head_left = None

    def end(self) -> None:
        """End the request: what it waits for fails."""
        self.has_ended = True
        if self._stream is not None and self._closing is None:
            self._closing = asyncio.create_task(self._stream.aclose())
            self._closing.add_done_callback(self._closed)

    def leave(self) -> None:
        """Forget the stream: its request has ended.

        The stream was opened in a context that leads here, so that both would hold each other.
        """
        self._stream = None

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closing = None
        if not closing.cancelled():
            closing.exception()  # of no interest: the connection has ended either way


# The use by the request that the present task sends.
USE: ContextVar[Use | None] = ContextVar("use", default=None)


class Streams(httpcore.AsyncNetworkBackend):
    """A network backend whose streams tell the present request's `Use` that they are used."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """See httpcore."""
        return _Stream(
            await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        )

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await self._inner.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        _must_go_on(httpcore.ReadError)
        use = USE.get()
        if use is None or use.head_left is None:
            return await self._inner.read(max_bytes, timeout)
        if not use.head_left:
            raise httpcore.ReadError(f"the response's head is larger than {HEAD_BYTES_MAX} bytes")
        data = await self._inner.read(min(max_bytes, use.head_left), timeout)
        use.head_left -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        _must_go_on(httpcore.WriteError)
        use = USE.get()
        if use is not None:
            use.begin(self._inner)
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        found = self._inner.get_extra_info(info)
        if info == "is_readable" and not found:
            # Of an idle connection: httpcore closes one with something to read.
            return _has_read_ahead(self._inner)
        return found


async def close_if_more_came(response: Any) -> None:
    """Close the connection of httpx's response, read but not closed yet, if more came.

    More bytes than the response has are nobody's response, and the next request must not get them.
    """
    try:
        connection = response.stream._httpcore_stream._stream._connection
        more = bool(connection._h11_state.trailing_data[0])
    except AttributeError:
        more = True  # nobody can tell: to connect anew is the safe way
    if more:
        await response.extensions["network_stream"].aclose()


def _has_read_ahead(stream: Any) -> bool:
    """Tell whether anyio has read more from the socket than it was asked for."""
    try:
        while not hasattr(stream, "_protocol"):
            if hasattr(stream, "_read_bio"):  # TLS
                if stream._read_bio.pending or stream._ssl_object.pending():
                    return True
                stream = stream.transport_stream
            else:
                stream = stream._stream
        return bool(stream._protocol.read_queue)
    except AttributeError:
        return True  # nobody can tell: to connect anew is the safe way


def _must_go_on(error: type[Exception]) -> None:
    use = USE.get()
    if use is not None and use.has_ended:
        raise error("the request was given up")
