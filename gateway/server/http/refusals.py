"""What the HTTP server itself refuses or closes, at which bound, and in which words."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, TypeAlias

from gateway.ingest.webhooks.body import BODY_BYTES_MAX

# From a request's first byte to the end of its head, in seconds; for the first request from the
# opening of the connection. A head fits into a packet or two.
HEAD_S = 10.0

# From the end of the head to that of the body, in seconds. Webhooks come in one piece; this is far
# beyond what the provider itself waits for a response.
BODY_S = 30.0

# How long a connection may be idle between requests, in seconds: longer than the 60 s after which
# usual load balancers (AWS, nginx) close theirs. Who closes first must be the one who sends, or a
# request crosses the close and is lost.
IDLE_S = 75

# The size of a head, in bytes: four times what usual servers take (nginx and Apache: 8 KiB). The
# parser joins what comes of one header to what came before, which costs the square of its length.
HEAD_BYTES_MAX = 32 * 1024

# Header lines of a request, its trailers included: Apache takes 100, and a proxy adds a dozen.
HEADERS_MAX = 128

# A body on the wire, in bytes: the largest webhook with as much again for chunk sizes, chunk
# extensions and trailers, or for the rest of a body that has been refused already.
BODY_WIRE_BYTES_MAX = 2 * BODY_BYTES_MAX

# How much of a body may still be to come when its request has been refused, in bytes, for the rest
# to be skipped and the connection kept.
REST_BYTES_MAX = 64 * 1024

# How long the sender of more has for reading the refusal before the connection is closed, in
# seconds. Nothing is read of it meanwhile: thousands of such bodies would keep the loop busy.
LINGER_S = 1.0

# Pieces that a body may come in. Each costs the loop about a microsecond, whatever its size; the
# largest webhook in pieces of 256 bytes has as many.
BODY_PIECES_MAX = 2_048

# Requests that wait on a connection for the response to the one before. Usual clients and proxies
# send none ahead (RFC 9112, 9.3.2 allows it).
PIPELINED_MAX = 8

# The reason of an end that no response can report: the peer did not read its responses.
UNREAD = "UNREAD"

# Given the reason of an end that the application does not hear of, and the peer's address.
Observe: TypeAlias = Callable[[str, str], None]


class Refusal(NamedTuple):
    """The response to a request that is not read to its end: `reason` is for programs."""

    status: HTTPStatus
    reason: str
    message: str

    def encoded(self) -> bytes:
        """Return the response as it is written, with the word that the connection closes."""
        error = {"reason": self.reason, "message": self.message}
        body = json.dumps({"error": error}, separators=(",", ":"))
        again = "retry-after: 5\r\n" if self.status == HTTPStatus.SERVICE_UNAVAILABLE else ""
        return (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            f"{again}connection: close\r\n\r\n{body}"
        ).encode()


BAD_REQUEST = Refusal(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", "this is not HTTP/1.1")
HEAD_TIMED_OUT = Refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "TIMED_OUT",
    f"the head of the request was not complete within {HEAD_S:.0f} s",
)
BODY_TIMED_OUT = Refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "TIMED_OUT",
    f"the body of the request was not complete within {BODY_S:.0f} s",
)
HEAD_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "HEAD_TOO_LARGE",
    f"the head of the request is larger than {HEAD_BYTES_MAX} bytes",
)
TOO_MANY_HEADERS = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "HEAD_TOO_LARGE",
    f"the request has more than {HEADERS_MAX} header lines",
)
BODY_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "BODY_TOO_LARGE",
    f"the body takes more than {BODY_WIRE_BYTES_MAX} bytes or {BODY_PIECES_MAX} pieces on the wire",
)
PIPELINED = Refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "PIPELINED",
    f"more than {PIPELINED_MAX} requests were sent before the response to the first",
)
TOO_MANY_CONNECTIONS = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "TOO_MANY_CONNECTIONS",
    "too many connections are open",
)
