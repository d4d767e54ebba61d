"""Streams of httpx's connections that a request can be ended on.

Cancelling a request inside httpcore 1.0.9 can lose its connection for good (httpcore#1093): the
pool counts it as in use, and is full of such ones in the end. A connection that is closed beneath
a request fails the request instead, and httpcore knows what to do with that.
"""

import asyncio
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any

import httpcore


class Use:
    """One request's use of a connection."""

    def __init__(self) -> None:
        self.has_ended = False
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._closing: asyncio.Task[None] | None = None

    def begin(self, stream: httpcore.AsyncNetworkStream) -> None:
        """Take note of the stream that the request is written to."""
        self._stream = stream

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
        return await self._inner.read(max_bytes, timeout)

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
        return self._inner.get_extra_info(info)


def _must_go_on(error: type[Exception]) -> None:
    use = USE.get()
    if use is not None and use.has_ended:
        raise error("the request was given up")
