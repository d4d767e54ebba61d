"""Many gRPC calls in one go on few connections: what no client library sends, but a thousand do.

HTTP/2 by hand (RFC 9113), as little of it as that takes.
"""

import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


def _request_headers(path: str) -> bytes:
    # HPACK: indexes of the static table, and literals that are not indexed (RFC 7541).
    return b"".join(
        (
            b"\x83\x86\x04",  # :method POST, :scheme http, :path ...
            _text(path),
            b"\x01" + _text("localhost"),  # :authority
            b"\x0f\x10" + _text("application/grpc"),  # content-type
            b"\x00" + _text("te") + _text("trailers"),
        )
    )


def open_at_once(
    address: str, path: str, message: bytes, calls: int, connections: int
) -> tuple[int, int]:
    """Send so many calls in one go; returns how many got a response, and how many ended."""
    share = calls // connections
    with ThreadPoolExecutor(connections) as pool:
        found = list(pool.map(lambda _: _open(address, path, message, share), range(connections)))
    return sum(answered for answered, _ in found), sum(ended for _, ended in found)


def _open(address: str, path: str, message: bytes, calls: int) -> tuple[int, int]:
    host, _, port = address.rpartition(":")
    headers, body = _request_headers(path), b"\0" + struct.pack(">I", len(message)) + message
    burst = [
        _PREFACE,
        _frame(_SETTINGS, 0, 0),
        _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**30)),
    ]
    for number in range(calls):
        burst.append(_frame(_HEADERS, _END_HEADERS, 2 * number + 1, headers))
        burst.append(_frame(_DATA, _END_STREAM, 2 * number + 1, body))
    answered: set[int] = set()
    ended: set[int] = set()
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(b"".join(burst))
        for kind, flags, stream in _frames(connection):
            if kind == _DATA:
                answered.add(stream)
            elif kind == _HEADERS and flags & _END_STREAM:
                ended.add(stream)
            if len(answered | ended) == calls:
                return len(answered), len(ended)
    raise AssertionError(f"the connection closed after {len(answered)} answers")


def _frames(connection: socket.socket) -> Iterator[tuple[int, int, int]]:
    buffer = bytearray()
    while data := connection.recv(65_536):
        buffer += data
        while len(buffer) >= 9:
            length = int.from_bytes(buffer[:3], "big")
            if len(buffer) < 9 + length:
                break
            kind, flags, stream = struct.unpack(">BBI", buffer[3:9])
            if kind == _SETTINGS and not flags & _ACK:
                connection.sendall(_frame(_SETTINGS, _ACK, 0))
            elif kind == _PING and not flags & _ACK:
                connection.sendall(_frame(_PING, _ACK, 0, bytes(buffer[9 : 9 + length])))
            del buffer[: 9 + length]
            yield kind, flags, stream
