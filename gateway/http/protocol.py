"""HTTP/1.1 as uvicorn reads it, and what it leaves to chance: upgrades, trailers, time, size, ends.

An offer to upgrade (`Upgrade: h2c` from curl, `websocket` from a browser) is one that a server may
ignore (RFC 9110, 7.8). The parser instead takes what follows the head for another protocol and
reads no body. So the head is given to it a second time, without the offer.
"""

import asyncio
import enum
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.http.outgoing import OutgoingTransport
from gateway.webhooks.receiver import DISCONNECTED, ENDED_FOR

# From a request's first byte to the end of its head, in seconds; for the first request from the
# opening of the connection. A head fits into a packet or two.
HEAD_S = 10.0

# From the end of the head to that of the body, in seconds. Webhooks come in one piece; this is far
# beyond what the provider itself waits for an answer.
BODY_S = 30.0

# How long a connection may be idle between requests, in seconds: longer than the 60 s after which
# usual load balancers (AWS, nginx) close theirs. Who closes first must be the one who sends, or a
# request crosses the close and is lost.
IDLE_S = 75

# The size of a head, in bytes: eight times what usual servers take (nginx and Apache: 8 KiB).
HEAD_BYTES_MAX = 64 * 1024


# The reason of an end that no response can tell: the responses were not taken.
NOT_TAKEN = "NOT_TAKEN"


class Refusal(NamedTuple):
    """The answer to a request that is not read to its end: `reason` is for programs."""

    status: HTTPStatus
    reason: str
    message: str


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


class _Stage(enum.Enum):
    """What is expected next on a connection."""

    REQUEST = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class RequestProtocol(HttpToolsProtocol):
    """One connection. `observe` is given the reason of an end that no application hears of."""

    def __init__(self, *args: Any, observe: Callable[[str], None], **named: Any) -> None:
        super().__init__(*args, **named)
        self._observe = observe
        self._stage = _Stage.REQUEST
        # The sender has closed its side; it may still wait for responses.
        self._half_closed = False
        self._head_bytes = 0
        self._offer = b""
        # Counts changes of the stage, and which of them the timer was set for.
        self._changes = 0
        self._timed_change = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        self._outgoing = OutgoingTransport(transport, self.loop, lambda: self._observe(NOT_TAKEN))
        super().connection_made(self._outgoing)
        self._set_timer(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._cancel_timer()
        super().connection_lost(exc)
        self._outgoing.lost()
        # Nothing more begins here, and what runs leads here: it must not be led to from here.
        self.cycle = None  # type: ignore[assignment]
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        # What the number of changes is after a piece that holds nothing but a part of a head.
        in_head = self._changes + (self._stage is _Stage.REQUEST)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(BAD_REQUEST)
            return
        # Other pieces are not counted: they may hold the body of the request before, too.
        if self._stage is _Stage.HEAD and self._changes == in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse(HEAD_TOO_LARGE)
                return
        # Here and not at each change: a request that comes in one piece needs no timer.
        if self._timed_change != self._changes:
            self._timed_change = self._changes
            self._cancel_timer()
            if self._stage is not _Stage.REQUEST:
                self._set_timer(HEAD_S if self._stage is _Stage.HEAD else BODY_S)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for the responses to what came whole; see `asyncio.Protocol`.

        A sender may close its side after its last request, as `nc -N` does.
        """
        # asyncio reports the end again when reading is resumed.
        if not self._half_closed:
            if self._stage is _Stage.BODY:
                if not self.pipeline:
                    return False  # the application waits for the rest; it is told, and counts that
                self.pipeline.popleft()
                self._observe(DISCONNECTED)
            elif not self._is_answering:
                return False
            self._half_closed = True
            self._cancel_timer()
        return True

    def on_response_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        if self._half_closed and not self.pipeline:
            self.transport.close()
        super().on_response_complete()

    def on_message_begin(self) -> None:
        """See `httptools.HttpRequestParser`."""
        super().on_message_begin()
        # Not at any byte: blank lines do not keep a connection open.
        self._unset_keepalive_if_required()
        self._enter(_Stage.HEAD)
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """See `httptools.HttpRequestParser`."""
        if self.parser.should_upgrade():
            self._offer = self._head_without_offer()
            return
        super().on_headers_complete()
        self._enter(_Stage.BODY)
        # The application has the list; trailers, which go into this one, are no headers.
        self.headers = []

    def on_message_complete(self) -> None:
        """See `httptools.HttpRequestParser`."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        self._enter(_Stage.REQUEST)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # A new one: the old one reads nothing more if the connection is to be closed.
                self.parser = httptools.HttpRequestParser(self)
                # As uvicorn has its parsers: what comes after the last request is passed over.
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                data = self._offer + data[upgrade.args[0] :]
            else:
                return

    def _head_without_offer(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            # Not an offer but a demand, and this is no proxy.
            raise httptools.HttpParserInvalidMethodError("CONNECT")
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        return b"\r\n".join((*lines, b"", b""))

    def _enter(self, stage: _Stage) -> None:
        self._stage = stage
        self._changes += 1

    def _set_timer(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._timed_out, seconds)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self, seconds: float) -> None:
        self._timer = None
        waiting = self._is_answering if self._stage is _Stage.HEAD else bool(self.pipeline)
        if waiting:
            # For the response to the request before; it is not the sender who is late.
            self._set_timer(seconds)
        elif self._stage is _Stage.HEAD:
            self._refuse(HEAD_TIMED_OUT)
        elif self._stage is _Stage.BODY and self._is_answering:
            self._refuse(BODY_TIMED_OUT)
        else:
            # Nothing has come, or the rest of what has been answered did not.
            self.transport.close()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        """Answer for the application and close."""
        if self._stage is _Stage.BODY and not self.pipeline:
            if self._is_answering:
                # The application waits for the body; it is told why it ends, and counts that.
                self.cycle.scope["state"][ENDED_FOR] = refusal.reason
                if not self.cycle.response_started:
                    self.transport.write(_encoded(refusal))
        else:
            self._observe(refusal.reason)
            # Else the sender would take it for the answer to the request before.
            if not self._is_answering:
                self.transport.write(_encoded(refusal))
        self.transport.close()


def _encoded(refusal: Refusal) -> bytes:
    error = {"reason": refusal.reason, "message": refusal.message}
    body = json.dumps({"error": error}, separators=(",", ":"))
    return (
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        f"connection: close\r\n\r\n{body}"
    ).encode()
