"""What a hostile client floods an HTTP/2 connection with, by what it is made of; without end."""

from collections.abc import Callable, Iterator
from itertools import repeat

from bench.feed import http2
from tests.harness.http2 import CONTINUATION, PRIORITY, message, reset, rpc, stream_ids

INFO = "/conferencing.v1.EventService/GetFeedInfo"
SUBSCRIBE = "/conferencing.v1.EventService/Subscribe"

# What a header's field of 4,000 bytes looks like that is to be forgotten again (RFC 7541, 6.2.2).
_FIELD = b"\x00\x05x-abc\x7f\xa1\x1e" + b"v" * 4_000


def rapid_reset(path: str, *, with_message: bool) -> Iterator[bytes]:
    ids = stream_ids()
    while True:
        yield b"".join(
            rpc(it, path) + (message(it) if with_message else b"") + reset(it)
            for it in (next(ids) for _ in range(100))
        )


def metadata_flood() -> Iterator[bytes]:
    fields = [(f"x-{number}", "v" * 700) for number in range(9)]
    ids = stream_ids()
    while True:
        yield b"".join(rpc(it, INFO, *fields) + reset(it) for it in (next(ids) for _ in range(20)))


def endless_header() -> Iterator[bytes]:
    head = rpc(1, INFO)[http2.HEAD_BYTES :]
    yield http2.frame(http2.HEADERS, 0, 1, head)
    yield from repeat(http2.frame(CONTINUATION, 0, 1, _FIELD) * 50)


def streams_without_end() -> Iterator[bytes]:
    ids = stream_ids()
    while True:
        yield b"".join(rpc(next(ids), INFO) for _ in range(100))


FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "resets": lambda: rapid_reset(INFO, with_message=False),
    "resets after the message": lambda: rapid_reset(INFO, with_message=True),
    "streams that are reset": lambda: rapid_reset(SUBSCRIBE, with_message=True),
    "metadata": metadata_flood,
    "a header without end": endless_header,
    "streams without a message": streams_without_end,
    "settings": lambda: repeat(http2.frame(http2.SETTINGS, 0, 0, b"") * 1_000),
    "priorities": lambda: repeat(http2.frame(PRIORITY, 0, 1, bytes(5)) * 1_000),
    "window updates": lambda: repeat(http2.window_update(0, 1) * 1_000),
    "unknown frames": lambda: repeat(http2.frame(0x55, 0, 0, b"") * 1_000),
}
