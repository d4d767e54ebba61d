"""As much of HTTP/2 and gRPC as a reader of streams has to write (RFC 9113, RFC 7541).

A reader of our own, because gRPC's Python client takes some 100 us for a message and would measure
itself. It announces what gRPC's own clients announce, so that the server writes the same to it.
"""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

FRAME_HEAD = struct.Struct(">HBBBI")
HEAD_BYTES = FRAME_HEAD.size
# Of a message: whether it is compressed, and its length.
PREFIX = struct.Struct(">BI")

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
WINDOW_UPDATE = 8
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8

_ENABLE_PUSH, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 2, 4, 5

# gRPC's own clients announce both so.
STREAM_WINDOW = 4 * 1024 * 1024
FRAME_MAX = 4 * 1024 * 1024
# What HTTP/2 starts with: all that a stalled stream ever allows.
STALLED_WINDOW = 65_535
CONNECTION_WINDOW = 2**30

_STREAM_BITS = 0x7FFFFFFF


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """Return a frame."""
    length = len(payload)
    return FRAME_HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def frame_head(buffer: memoryview, offset: int) -> tuple[int, int, int, int]:
    """Return length, type, flags and stream of the frame that begins at an offset."""
    high, low, kind, flags, stream_id = FRAME_HEAD.unpack_from(buffer, offset)
    return high << 8 | low, kind, flags, stream_id & _STREAM_BITS


def opening(stream_window: int) -> bytes:
    """Return what a client sends first. Only healthy ones widen the connection's window."""
    settings = struct.pack(
        ">HIHIHI",
        *(_ENABLE_PUSH, 0),
        *(_INITIAL_WINDOW_SIZE, stream_window),
        *(_MAX_FRAME_SIZE, FRAME_MAX),
    )
    first = PREFACE + frame(SETTINGS, 0, 0, settings)
    if stream_window <= STALLED_WINDOW:
        return first
    return first + window_update(0, CONNECTION_WINDOW)


def window_update(stream_id: int, size: int) -> bytes:
    """Return the frame that lets the server send so many bytes more."""
    return frame(WINDOW_UPDATE, 0, stream_id, struct.pack(">I", size))


def call(stream_id: int, authority: str, path: str, message: bytes) -> bytes:
    """Return a whole call with one request message."""
    block = b"".join(
        (
            b"\x83\x86",  # :method POST, :scheme http
            b"\x01" + _text(authority),
            b"\x04" + _text(path),
            b"\x0f\x10" + _text("application/grpc"),  # content-type
            b"\x00" + _text("te") + _text("trailers"),
        )
    )
    body = PREFIX.pack(0, len(message)) + message
    return frame(HEADERS, END_HEADERS, stream_id, block) + frame(DATA, END_STREAM, stream_id, body)


def _text(value: str) -> bytes:
    encoded = value.encode()
    assert len(encoded) < 127, "longer texts have a length of several bytes"
    return bytes([len(encoded)]) + encoded
