"""Content codings: compressed bodies, which were not requested and come all the same.

The gateway asks for `identity` (RFC 9110, section 12.5.3). Servers and proxies that compress
nevertheless are read as far as the standard library reads them, never beyond the size that a
transport is willing to hold.
"""

import zlib
from collections.abc import Callable, Mapping

from gateway.upstream.transport import (
    RESPONSE_BYTES_MAX,
    HttpResponse,
    OversizeError,
    UnansweredError,
)

# The largest body of a response outside of 2xx that is looked at, in bytes: the provider's own are
# below 10 KiB, and the status says enough.
ERROR_BYTES_MAX = 64 * 1024

# More codings on one body than this are nobody's honest work.
_CODINGS_MAX = 3

# More members of gzip than any writer makes of a response; each costs a copy of what follows it.
MEMBERS_MAX = 100

_IDENTITY = frozenset({"", "identity"})

_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class _DamagedError(Exception):
    """The body is not what its coding says, or is truncated; the text says which coding."""


def decoded(response: HttpResponse) -> HttpResponse:
    """Return a response with its body as it was before it was compressed.

    Raises OversizeError for a body that is too large then, and UnansweredError for one that
    cannot be read. Outside of 2xx the status says enough: a body that cannot be read, or is larger
    than `ERROR_BYTES_MAX`, is left out.
    """
    if len(response.body) > ERROR_BYTES_MAX and not 200 <= response.status < 300:
        return response._replace(body=b"")
    header = response.headers.get("content-encoding")
    if header is None or not response.body:
        return response
    try:
        body = _decoded(response.body, header)
    except (_DamagedError, OversizeError) as error:
        if not 200 <= response.status < 300:
            return response._replace(body=b"")
        if isinstance(error, OversizeError):
            raise
        raise UnansweredError(str(error)) from None
    if len(body) > ERROR_BYTES_MAX and not 200 <= response.status < 300:
        body = b""
    return response._replace(body=body)


def _decoded(body: bytes, header: str) -> bytes:
    codings = [name.strip().lower() for name in header.split(",")]
    codings = [name for name in codings if name not in _IDENTITY]
    if len(codings) > _CODINGS_MAX:
        raise _DamagedError(f"the response is compressed {len(codings)} times")
    # They were applied in the order in which they are listed.
    for name in reversed(codings):
        decode = _DECODERS.get(name)
        if decode is None:
            raise _DamagedError(
                f"the response has the content encoding {name[:20]!r}, which was not requested and"
                " is not supported"
            )
        try:
            body = decode(body)
        except zlib.error:
            raise _DamagedError(f"the response's {name} encoding is damaged") from None
    return body


def _gzip(body: bytes) -> bytes:
    """Decode one member after another (RFC 1952, section 2.2)."""
    parts: list[bytes] = []
    left = RESPONSE_BYTES_MAX
    # Zeros may fill up what follows the last member.
    while body.strip(b"\0"):
        if len(parts) == MEMBERS_MAX:
            raise _DamagedError(f"the response's gzip body has more than {MEMBERS_MAX} members")
        part, body = _inflated(body, _GZIP_WINDOW, left)
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _deflate(body: bytes) -> bytes:
    """Decode zlib's format, which is meant by the name, or bare deflate, which some send."""
    try:
        return _inflated(body, zlib.MAX_WBITS, RESPONSE_BYTES_MAX)[0]
    except zlib.error:
        return _inflated(body, -zlib.MAX_WBITS, RESPONSE_BYTES_MAX)[0]


def _inflated(body: bytes, window: int, bytes_max: int) -> tuple[bytes, bytes]:
    """Return what a stream holds, and what follows the stream. Raises OversizeError."""
    stream = zlib.decompressobj(window)
    data = stream.decompress(body, bytes_max + 1)
    if len(data) > bytes_max:
        raise OversizeError(
            f"the response is larger than {RESPONSE_BYTES_MAX} bytes after decompression"
        )
    if not stream.eof:
        raise _DamagedError("the response's compressed body is truncated")
    return data, stream.unused_data


_DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
}
