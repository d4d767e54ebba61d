"""HTTP/1.1 as uvicorn reads it, and what it leaves to chance: upgrades, trailers, time, size, ends.

Of the servers for ASGI that run inside our event loop, uvicorn with httptools is the quickest by
two to one (uvicorn with h11, hypercorn), and its protocol is the one whose parts can be bounded
from outside: all that comes passes through `data_received`, and each part through a callback. None
of them bounds a request's pieces, its trailers or what is sent ahead, so that is done here, by the
numbers in `refusals`.

An offer to upgrade (`Upgrade: h2c` from curl, `websocket` from a browser) is one that a server may
ignore (RFC 9110, 7.8). The parser instead takes what follows the head for another protocol and
reads no body. So the head is given to it a second time, without the offer.
"""

import asyncio
import enum
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.ingest.webhooks.receiver import DISCONNECTED, ENDED_FOR
from gateway.server.http.outgoing import OutgoingTransport
from gateway.server.http.peer import certificate_of, keep_certificate
from gateway.server.http.refusals import (
    BAD_REQUEST,
    BODY_PIECES_MAX,
    BODY_S,
    BODY_TIMED_OUT,
    BODY_TOO_LARGE,
    BODY_WIRE_BYTES_MAX,
    HEAD_BYTES_MAX,
    HEAD_S,
    HEAD_TIMED_OUT,
    HEAD_TOO_LARGE,
    HEADERS_MAX,
    LINGER_S,
    PIPELINED,
    PIPELINED_MAX,
    REST_BYTES_MAX,
    TOO_MANY_CONNECTIONS,
    TOO_MANY_HEADERS,
    UNREAD,
    Observe,
    Refusal,
)
from gateway.server.http.slots import Slots


class _Stage(enum.Enum):
    """What is expected next on a connection."""

    REQUEST = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class RequestProtocol(HttpToolsProtocol):
    """One connection, if `slots` has one for it."""

    def __init__(self, *args: Any, observe: Observe, slots: Slots, **named: Any) -> None:
        super().__init__(*args, **named)
        self._observe_end = observe
        self._slots = slots
        self._stage = _Stage.REQUEST
        # Whether a request was complete.
        self._has_served = False
        # The sender has closed its side; it may still wait for responses.
        self._half_closed = False
        # Of the present stage: bytes so far, as far as whole pieces belong to it. Of the present
        # request: header lines, and pieces of its body.
        self._bytes = 0
        self._lines = 0
        self._pieces = 0
        # The bound that the parser has met.
        self._beyond: Refusal | None = None
        self._offer = b""
        self._certificate: bytes | None = None
        # Counts changes of the stage, and which of them the timer was set for.
        self._changes = 0
        self._timed_change = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        self._outgoing = OutgoingTransport(transport, self.loop, lambda: self._observe(UNREAD))
        super().connection_made(self._outgoing)
        self._certificate = certificate_of(transport)
        if not self._slots.enter(self):
            self._refuse(TOO_MANY_CONNECTIONS)
            return
        self._set_timer(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._cancel_timer()
        self._slots.leave(self)
        super().connection_lost(exc)
        self._outgoing.lost()
        # Nothing more begins here, and what runs leads here: it must not be led to from here.
        self.cycle = None  # type: ignore[assignment]
        self.pipeline.clear()

    @property
    def address(self) -> str:
        """The address of the peer."""
        return self.client[0] if self.client else ""

    @property
    def is_busy(self) -> bool:
        """Whether a complete request waits for its response, not the response for a reader."""
        if self._outgoing.is_unread:
            return False
        return bool(self.pipeline) or (self._is_responding and self._stage is not _Stage.BODY)

    def give_way(self) -> None:
        """Close, for another connection to have the slot.

        Should a request cross the close, its sender has a response that says to retry. Who has not
        read what was sent before is cut off: a close would wait for that, and hold a descriptor.
        """
        if self._outgoing.is_unread:
            self._observe(TOO_MANY_CONNECTIONS.reason)
            self._outgoing.abort()
            return
        self._refuse(TOO_MANY_CONNECTIONS)

    @property
    def reads_body(self) -> bool:
        """Whether the head of a request has come, and its body has not."""
        return self._stage is _Stage.BODY

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        # What the number of changes is after a piece that holds nothing but a part of this stage.
        # Other pieces are not counted: they may hold the body of the request before, too.
        whole = self._changes + (self._stage is _Stage.REQUEST)
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(self._beyond or BAD_REQUEST)
            return
        if self._changes == whole:
            self._bytes += len(data)
            if self._stage is _Stage.HEAD and self._bytes > HEAD_BYTES_MAX:
                self._refuse(HEAD_TOO_LARGE)
                return
            if self._stage is _Stage.BODY and self._bytes > BODY_WIRE_BYTES_MAX:
                self._refuse(BODY_TOO_LARGE)
                return
        # Here and not at each change: a request that comes in one piece needs no timer.
        if self._timed_change != self._changes:
            self._timed_change = self._changes
            self._cancel_timer()
            if self._stage is _Stage.BODY and not self.pipeline:
                # Until the application wants the rest: it may refuse the request by its head.
                self.flow.pause_reading()
            if self._stage is not _Stage.REQUEST:
                self._set_timer(HEAD_S if self._stage is _Stage.HEAD else BODY_S)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection for the responses to what came whole; see `asyncio.Protocol`.

        A sender may close its side after its last request, as `nc -N` does. In TLS there is no such
        half: who says that it ends gets no more.
        """
        if self.transport.get_extra_info("sslcontext") is not None:
            if self._stage is not _Stage.BODY and self._is_responding:
                self._observe(DISCONNECTED)
            return False
        # asyncio reports the end again when reading is resumed.
        if not self._half_closed:
            if self._stage is _Stage.BODY:
                if not self.pipeline:
                    # The application waits for the rest: it hears of the end, and counts it.
                    return False
                self.pipeline.popleft()
                self._observe(DISCONNECTED)
            elif not self._is_responding:
                return False
            self._half_closed = True
            self._cancel_timer()
        return True

    def on_response_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        if self._half_closed and not self.pipeline:
            self.transport.close()
        super().on_response_complete()
        if self._stage is _Stage.BODY and self._declared_rest() > REST_BYTES_MAX:
            self._cancel_timer()
            self.transport.pause_reading()
            self._timer = self.loop.call_later(LINGER_S, self.transport.close)

    def on_message_begin(self) -> None:
        """See `httptools.HttpRequestParser`."""
        if len(self.pipeline) >= PIPELINED_MAX:
            self._stop(PIPELINED)
        super().on_message_begin()
        keep_certificate(self.scope["state"], self._certificate)
        # Not at any byte: blank lines do not keep a connection open.
        self._unset_keepalive_if_required()
        self._enter(_Stage.HEAD)
        self._lines = self._pieces = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """See `httptools.HttpRequestParser`; trailers come here, too, and are ignored."""
        self._lines += 1
        if self._lines > HEADERS_MAX:
            self._stop(TOO_MANY_HEADERS)
        if self._stage is _Stage.HEAD:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """See `httptools.HttpRequestParser`."""
        self._pieces += 1
        if self._pieces > BODY_PIECES_MAX:
            self._stop(BODY_TOO_LARGE)
        super().on_body(body)

    def on_headers_complete(self) -> None:
        """See `httptools.HttpRequestParser`."""
        if self.parser.should_upgrade():
            self._offer = self._head_without_offer()
            return
        super().on_headers_complete()
        self._enter(_Stage.BODY)

    def on_message_complete(self) -> None:
        """See `httptools.HttpRequestParser`."""
        if self.parser.should_upgrade():
            return
        super().on_message_complete()
        if not self._has_served:
            self._has_served = True
            self._slots.served(self)
        self._enter(_Stage.REQUEST)

    def _declared_rest(self) -> int:
        """Return how much of the body is still to come, as far as it was declared."""
        declared = next((it for name, it in self.headers if name == b"content-length"), b"0")
        return int(declared) - self._bytes

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # A new one: the old one reads nothing more if the connection is to be closed.
                self.parser = httptools.HttpRequestParser(self)
                # As uvicorn has its parsers: what comes after the last request is ignored.
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
        self._bytes = 0

    def _stop(self, refusal: Refusal) -> None:
        """Have the parser stop, and say why."""
        self._beyond = refusal
        raise ValueError(refusal.message)

    def _observe(self, reason: str) -> None:
        self._observe_end(reason, self.address)

    def _set_timer(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._timed_out, seconds)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _timed_out(self, seconds: float) -> None:
        self._timer = None
        waiting = self._is_responding if self._stage is _Stage.HEAD else bool(self.pipeline)
        if waiting:
            # For the response to the request before; it is not the sender who is late.
            self._set_timer(seconds)
        elif self._stage is _Stage.HEAD:
            self._refuse(HEAD_TIMED_OUT)
        elif self._stage is _Stage.BODY and self._is_responding:
            self._refuse(BODY_TIMED_OUT)
        else:
            # Nothing has come, or the rest of what has a response already did not.
            self.transport.close()

    @property
    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, refusal: Refusal) -> None:
        """Respond for the application and close."""
        if self._stage is _Stage.BODY and not self.pipeline:
            if self._is_responding:
                # The application waits for the body; it hears why it ends, and counts that.
                self.cycle.scope["state"][ENDED_FOR] = refusal.reason
                if not self.cycle.response_started:
                    self.transport.write(refusal.encoded())
        else:
            self._observe(refusal.reason)
            # Else the sender would take it for the response to the request before.
            if not self._is_responding:
                self.transport.write(refusal.encoded())
        self.transport.close()
