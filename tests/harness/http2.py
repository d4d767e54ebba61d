"""HTTP/2 as a hostile client speaks it: frames out in any order, nothing held back."""

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator

from bench.feed import http2

PRIORITY, CONTINUATION = 2, 9

# What a client sends that gives up a call (RFC 9113, 7): CANCEL.
_CANCEL = struct.pack(">I", 8)


def rpc(stream_id: int, path: str, *metadata: tuple[str, str], end: bool = False) -> bytes:
    """Return the head of a call; with `end` there is no message to come."""
    block = b"".join(
        (
            b"\x83\x86",  # :method POST, :scheme http
            b"\x01" + _text("gateway"),  # :authority
            b"\x04" + _text(path),
            b"\x0f\x10" + _text("application/grpc"),  # content-type
            b"\x00" + _text("te") + _text("trailers"),
            *(b"\x00" + _text(name) + _text(value) for name, value in metadata),
        )
    )
    flags = http2.END_HEADERS | (http2.END_STREAM if end else 0)
    return http2.frame(http2.HEADERS, flags, stream_id, block)


def message(stream_id: int, body: bytes = b"") -> bytes:
    """Return the one message of a call."""
    data = http2.PREFIX.pack(0, len(body)) + body
    return http2.frame(http2.DATA, http2.END_STREAM, stream_id, data)


def reset(stream_id: int) -> bytes:
    return http2.frame(http2.RST_STREAM, 0, stream_id, _CANCEL)


def stream_ids() -> Iterator[int]:
    yield from range(1, 2**31, 2)


class RawClient:
    """One connection to a gRPC server. Unless `deaf`, what comes is read and counted by frame.

    `source` is the address of this machine that it comes from, by default the system's choice.
    """

    def __init__(
        self,
        address: str,
        *,
        deaf: bool = False,
        window: int = http2.STREAM_WINDOW,
        source: str = "",
    ) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.socket()
        if deaf:
            # What the kernel takes for a client that does not read says nothing of the server.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(20)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect((host, int(port)))
        self.socket.sendall(http2.opening(window))
        self.frames: Counter[int] = Counter()
        # The streams on which messages came, and those that the server has ended.
        self.answered: set[int] = set()
        self.over: set[int] = set()
        self.ended = threading.Event()
        self._changed = threading.Condition()
        if not deaf:
            threading.Thread(target=self._read, daemon=True).start()

    @property
    def peer(self) -> str:
        """How gRPC names this client."""
        host, port = self.socket.getsockname()
        return f"ipv4:{host}:{port}"

    def send(self, data: bytes) -> bool:
        """Send, and return whether the server still takes it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return not self.ended.is_set()

    def wait_for(self, kind: int, count: int = 1) -> bool:
        """Wait until so many frames of a kind have come, or the connection has ended."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.frames[kind] >= count or self.ended.is_set(), timeout=20
            )
            return self.frames[kind] >= count

    def wait_for_streams(self, count: int) -> None:
        """Wait until so many streams have been answered or are over."""
        with self._changed:
            self._changed.wait_for(
                lambda: len(self.answered | self.over) >= count or self.ended.is_set(), timeout=20
            )
            assert len(self.answered | self.over) >= count, f"{len(self.answered)} answered"

    def close(self) -> None:
        with contextlib.suppress(OSError):  # the server has closed it
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        received = b""
        while True:
            try:
                data = self.socket.recv(1 << 18)
                if not data:
                    break
                received = self._frames(received + data)
            except TimeoutError:
                continue
            except OSError:
                break
        with self._changed:
            self.ended.set()
            self._changed.notify_all()

    def _frames(self, received: bytes) -> bytes:
        """Take in whole frames, and return what is left."""
        view, offset, new = memoryview(received), 0, Counter[int]()
        while len(received) - offset >= http2.HEAD_BYTES:
            length, kind, flags, stream_id = http2.frame_head(view, offset)
            end = offset + http2.HEAD_BYTES + length
            if end > len(received):
                break
            if kind in (http2.SETTINGS, http2.PING) and not flags & http2.ACK:
                payload = bytes(view[offset + http2.HEAD_BYTES : end])
                echoed = payload if kind == http2.PING else b""
                self.socket.sendall(http2.frame(kind, http2.ACK, 0, echoed))
            new[kind] += 1
            if kind == http2.DATA:
                self.answered.add(stream_id)
            elif kind == http2.RST_STREAM or (kind == http2.HEADERS and flags & http2.END_STREAM):
                self.over.add(stream_id)
            offset = end
        with self._changed:
            self.frames += new
            self._changed.notify_all()
        return received[offset:]


def _text(value: str) -> bytes:
    encoded = value.encode()
    size = len(encoded)
    if size < 127:
        return bytes([size]) + encoded
    # A number that does not fit into seven bits (RFC 7541, 5.1).
    head, rest = [127], size - 127
    while rest >= 128:
        head.append(rest % 128 + 128)
        rest //= 128
    return bytes([*head, rest]) + encoded
