"""A connection with many streams on it."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import cast

from bench.contestants.contestant import CheckError
from bench.feed import http2
from bench.feed.stream import Stream

_BUFFER_BYTES = 1024 * 1024

# The server may send more when so many bytes have come.
_STREAM_STEP = http2.STREAM_WINDOW // 4
_CONNECTION_STEP = http2.CONNECTION_WINDOW // 4


class Connection(asyncio.BufferedProtocol):
    """Reads streams. What goes wrong is put into `failures`.

    A `stalled` one allows what HTTP/2 starts with, reads each stream's first response and no more.
    """

    def __init__(
        self, streams: Sequence[Stream], failures: list[CheckError], *, stalled: bool
    ) -> None:
        self.streams = streams
        self.stalled = stalled
        # Set before the server goes: the end is then no failure.
        self.may_end = False
        self._failures = failures
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0
        # The stream whose frame has not come in full, and how much of it is still to come.
        self._stream: Stream | None = None
        self._stream_id = 0
        self._left = 0
        self._since_update = 0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no common class.
        self._transport = cast(asyncio.Transport, transport)
        window = http2.STALLED_WINDOW if self.stalled else http2.STREAM_WINDOW
        self._transport.write(http2.opening(window))

    def call(self, authority: str, path: str, messages: Sequence[bytes]) -> None:
        """Open a call for each stream."""
        self._transport.writelines(
            [
                http2.call(2 * number + 1, authority, path, message)
                for number, message in enumerate(messages)
            ]
        )

    def stop_reading(self) -> None:
        """Leave everything that comes from now on in the socket."""
        self._transport.pause_reading()

    def go_on(self) -> None:
        """Read again, and allow as much as a healthy connection does."""
        self.stalled = False
        more = http2.STREAM_WINDOW
        self._transport.write(http2.window_update(0, http2.CONNECTION_WINDOW))
        for number in range(len(self.streams)):
            self._transport.write(http2.window_update(2 * number + 1, more))
        self._transport.resume_reading()

    def close(self) -> None:
        """End all calls by ending the connection."""
        self.may_end = True
        self._transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        at = monotonic()
        try:
            self._read(self._filled + nbytes, at)
        except CheckError as error:
            self._fail(error)

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()

    def _ended(self) -> None:
        if not self.may_end:
            self._fail(CheckError("a connection ended unexpectedly"))

    def _fail(self, error: CheckError) -> None:
        self._failures.append(error)
        self.close()

    def _read(self, end: int, at: float) -> None:
        view, offset = self._view, 0
        while True:
            if self._left:
                taken = min(self._left, end - offset)
                self._data(view[offset : offset + taken], at)
                offset += taken
                self._left -= taken
                if self._left:
                    break
            if end - offset < http2.HEAD_BYTES:
                break
            length, kind, flags, stream_id = http2.frame_head(view, offset)
            payload = offset + http2.HEAD_BYTES
            if kind == http2.DATA:
                self._stream = self._stream_of(stream_id)
                if flags:
                    raise CheckError(f"{self._stream.name} ended, or its data are padded")
                self._stream_id, self._left, offset = stream_id, length, payload
                continue
            if end - payload < length:
                break
            self._control(kind, flags, stream_id, bytes(view[payload : payload + length]))
            offset = payload + length
        # What is left is the beginning of a frame that is not of data, and short.
        rest = bytes(view[offset:end])
        view[: len(rest)] = rest
        self._filled = len(rest)

    def _data(self, piece: memoryview, at: float) -> None:
        stream = self._stream
        assert stream is not None
        stream.data(piece, at)
        if self.stalled:
            return
        size = len(piece)
        stream.since_update += size
        if stream.since_update >= _STREAM_STEP:
            self._transport.write(http2.window_update(self._stream_id, stream.since_update))
            stream.since_update = 0
        self._since_update += size
        if self._since_update >= _CONNECTION_STEP:
            self._transport.write(http2.window_update(0, self._since_update))
            self._since_update = 0

    def _control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        match kind:
            case http2.HEADERS if flags & http2.END_STREAM:
                # Header names and values come as they are, or as numbers that stand for them.
                name = self._stream_of(stream_id).name
                raise CheckError(f"{name} was ended by the server: {payload!r}")
            case http2.RST_STREAM:
                raise CheckError(f"{self._stream_of(stream_id).name} was reset: {payload!r}")
            case http2.GOAWAY:
                if not self.may_end:
                    raise CheckError(f"the server sends clients away: {payload!r}")
            case http2.SETTINGS if not flags & http2.ACK:
                self._transport.write(http2.frame(http2.SETTINGS, http2.ACK, 0, b""))
            case http2.PING if not flags & http2.ACK:
                self._transport.write(http2.frame(http2.PING, http2.ACK, 0, payload))

    def _stream_of(self, stream_id: int) -> Stream:
        return self.streams[stream_id // 2]
