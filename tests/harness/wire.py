"""HTTP as it stands on the wire: bytes out, responses in, nothing put right on the way."""

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WireResponse:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def reason(self) -> str:
        return str(self.body["error"]["reason"])


def request(
    body: bytes,
    headers: Iterable[tuple[str, str]],
    target: str = "/webhooks/telnyx",
    *,
    method: str = "POST",
    version: str = "1.1",
    length: bool = True,
) -> bytes:
    """Return a request with its header lines as they are given, in their order."""
    lines = [f"{method} {target} HTTP/{version}", "host: gateway.example"]
    lines += [f"{name}: {value}" for name, value in headers]
    if length:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


def chunked(*chunks: bytes, extension: str = "", trailers: str = "") -> bytes:
    """Return a body in chunks."""
    parts = [b"%x%b\r\n%b\r\n" % (len(it), extension.encode(), it) for it in chunks]
    return b"".join(parts) + b"0\r\n" + trailers.encode() + b"\r\n"


def exchange(address: str, *pieces: bytes, responses: int = 1) -> list[WireResponse]:
    """Send bytes on one connection and return so many responses."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), 20) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        found: list[WireResponse] = []
        while len(found) < responses:
            data = connection.recv(65_536)
            if not data:
                raise AssertionError(f"the connection was closed after {found}, {received!r}")
            received += data
            new, received = parsed(received)
            found += new
    return found


def parsed(received: bytes) -> tuple[list[WireResponse], bytes]:
    """Return the whole responses among some bytes, interim ones left out, and what follows."""
    found: list[WireResponse] = []
    while b"\r\n\r\n" in received:
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        size = int(headers.get("content-length", 0))
        if len(rest) < size:
            break
        received = rest[size:]
        if status != 100:
            found.append(WireResponse(status, headers, rest[:size]))
    return found, received
