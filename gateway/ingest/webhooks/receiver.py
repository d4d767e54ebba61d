"""The HTTP end of webhooks: read, verify, decode, store, respond.

An ASGI application by itself: every webhook comes through here, and a framework's request,
routing and response objects would cost as much as the signature does.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

from gateway.bytebudget import ByteBudget
from gateway.ingest.webhooks.body import (
    BODY_BYTES_MAX,
    LARGE_BYTES_MAX,
    Body,
    NoRoomForBodyError,
    TooLargeError,
)
from gateway.ingest.webhooks.decoder import NotAnEventError, WebhookDecoder
from gateway.ingest.webhooks.signature import SignatureError, SignatureVerifier
from gateway.ingest.webhooks.verification import TooManyError, Verification
from gateway.journal.errors import LogUnavailableError
from gateway.journal.ports import Journal
from gateway.records.observer import Observer
from gateway.records.refusals import Refused, Subject
from gateway.records.webhooks import Stages, WebhookReceived
from gateway.tracecontext import Begin, Span, TraceContext, passed_on, received

# Where webhooks are posted, with or without a slash at its end.
WEBHOOK_PATH = "/webhooks/telnyx"

# Where in a scope's `state` the HTTP server says why it has ended a request before its body was
# complete: with a reason of the table below. Nothing there: the sender has gone.
ENDED_FOR = "ended_for"

# The reason of a request whose sender has gone before it was complete.
DISCONNECTED = "DISCONNECTED"

# Seconds after which the sender is to retry what could not be stored.
RETRY_AFTER_S = 5

# The status of what the gateway has no room for, or cannot store.
_UNAVAILABLE = 503

# The status of each refusal. A forged or stale webhook is unauthorised, not malformed.
STATUS_OF_REASON = {
    "BAD_REQUEST": 400,
    "MISSING_HEADER": 400,
    "BAD_SIGNATURE": 400,
    "BAD_TIMESTAMP": 400,
    "STALE_TIMESTAMP": 401,
    "SIGNATURE_MISMATCH": 401,
    "NOT_JSON": 400,
    "NOT_AN_EVENT": 422,
    "API_VERSION_1": 422,
    DISCONNECTED: 400,
    "TIMED_OUT": 408,
    "BODY_TOO_LARGE": 413,
    "HEAD_TOO_LARGE": 431,
    "PIPELINED": 429,
    "TOO_MANY_CONNECTIONS": _UNAVAILABLE,
    "METHOD_NOT_ALLOWED": 405,
    "GATEWAY_OVERLOADED": _UNAVAILABLE,
    "LOG_UNAVAILABLE": _UNAVAILABLE,
    "SHUTTING_DOWN": _UNAVAILABLE,
    "GATEWAY_FAILURE": 500,
}

# What the spans of webhooks are called, as sampling sees it.
_SPAN_NAME = f"POST {WEBHOOK_PATH}"

# The headers that say which trace a request belongs to.
_TRACE_HEADERS = frozenset({b"traceparent", b"tracestate"})

# ASGI's own types (asgi.readthedocs.io, HTTP connection scope).
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)


class _Response(NamedTuple):
    start: Message
    body: Message

    @classmethod
    def of(cls, status: int, document: Any, headers: Iterable[tuple[str, str]] = ()) -> "_Response":
        body = json.dumps(document, separators=(",", ":")).encode()
        fields = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *((name.encode(), value.encode()) for name, value in headers),
        ]
        return cls(
            {"type": "http.response.start", "status": status, "headers": fields},
            {"type": "http.response.body", "body": body},
        )


_STORED = _Response.of(200, {"status": "stored"})
_DUPLICATE = _Response.of(200, {"status": "duplicate"})


class _RefusedError(Exception):
    def __init__(self, reason: str, message: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.reason = reason
        self.headers = headers


class WebhookReceiver:
    """Serves `POST /webhooks/telnyx`: 2xx once the event is on disk, and not before.

    What is wrong with the request gets a 4xx that says so; what is wrong with the log or with the
    gateway gets a 5xx, after which the provider retries. Whatever happens is a response, a line in
    the log and a count. `now` gives the time in seconds since 1970, `clock` that of a clock that
    nobody sets. `begin` begins the span of each: a webhook belongs to the trace that its headers
    name once its signature is right, since anybody can send headers.
    """

    def __init__(
        self,
        verifier: SignatureVerifier,
        decoder: WebhookDecoder,
        journal: Journal,
        now: Callable[[], float],
        observe: Observer[WebhookReceived],
        buffers: ByteBudget | None = None,
        clock: Callable[[], float] = monotonic,
        begin: Begin = passed_on,
    ) -> None:
        self._begin = begin
        self._verifier = verifier
        self._verification = Verification(verifier)
        self._buffers = buffers or ByteBudget()
        self._large = ByteBudget(LARGE_BYTES_MAX)
        self._decoder = decoder
        self._journal = journal
        self._now = now
        self._observe = observe
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        body_received = Body(self._large, self._buffers)
        try:
            start, body = await self._response(scope, receive, body_received)
        finally:
            body_received.close()
        await send(start)
        await send(body)

    def close(self) -> None:
        """Verify nothing more; called when all requests have ended."""
        self._verification.close()

    def connection_ended(self, reason: str, peer: str) -> None:
        """Take note of a connection that the HTTP server closed and no application heard of."""
        self._note(Subject.HTTP_CONNECTION, reason, peer, 0, _Way(self._clock()))

    async def _response(self, scope: Scope, receive: Receive, body_received: Body) -> _Response:
        way = _Way(self._clock())
        refuse = partial(self._refuse, scope, body_received, way)
        again = [("retry-after", str(RETRY_AFTER_S))]
        try:
            if scope["method"] != "POST":
                raise _RefusedError(
                    "METHOD_NOT_ALLOWED",
                    "webhooks must be posted: set the voice application to deliver by POST",
                    [("allow", "POST")],
                )
            # First what is known before a byte of the body has come.
            body_received.expect(_declared_length(scope["headers"]))
            readings = self._verifier.read(scope["headers"])
            await _read_body(scope, receive, body_received)
            body = body_received.whole()
            way.read = self._clock()
            await self._verification.verify(readings, body)
            way.verified = self._clock()
            way.span = span = self._begin(_context_of(scope), _SPAN_NAME)
            traceparent = "" if span is None else span.context.traceparent
            event = self._decoder.decode(body, round(self._now() * 1e6), traceparent=traceparent)
            way.decoded = self._clock()
            appended = await self._journal.append(event)
        except _RefusedError as refused:
            return refuse(refused.reason, str(refused), refused.headers)
        except (SignatureError, NotAnEventError) as refused:
            return refuse(refused.reason, str(refused))
        except TooLargeError:
            return refuse("BODY_TOO_LARGE", f"the body is larger than {BODY_BYTES_MAX} bytes")
        except (NoRoomForBodyError, TooManyError):
            return refuse("GATEWAY_OVERLOADED", "too many large bodies are in memory", again)
        except LogUnavailableError as error:
            detail = f"it could not be stored; the provider will retry it: {error}"
            text = "the event could not be stored"
            return refuse("LOG_UNAVAILABLE", text, again, detail=detail, event_id=event.id)
        except asyncio.CancelledError:
            # By a shutdown that does not wait any longer. The task ends with this response.
            text = "the gateway shut down before the event was stored"
            return refuse("SHUTTING_DOWN", text, again)
        except Exception:
            # The text of an unforeseen exception may hold anything: it is only logged.
            _log.exception("a webhook failed unexpectedly; the provider will retry it")
            text = "the gateway failed unexpectedly; its log has the cause"
            return refuse("GATEWAY_FAILURE", text, again)
        result = "duplicate" if appended.duplicate else "stored"
        seconds = self._clock() - way.began
        self._observe(
            WebhookReceived(
                result,
                event.type,
                len(body),
                way.began,
                seconds,
                span=span,
                stages=way.stages,
                http_method=scope["method"],
                event_id=event.id,
            )
        )
        return _DUPLICATE if appended.duplicate else _STORED

    def _refuse(
        self,
        scope: Scope,
        body: Body,
        way: "_Way",
        reason: str,
        message: str,
        headers: Iterable[tuple[str, str]] = (),
        *,
        detail: str = "",
        event_id: str = "",
    ) -> _Response:
        if not way.verified:
            # A trace of its own, whatever its headers say.
            way.span = self._begin(None, _SPAN_NAME)
        self._note(
            Subject.WEBHOOK, reason, _peer(scope), body.size, way, scope["method"], detail, event_id
        )
        document = {"error": {"reason": reason, "message": message}}
        return _Response.of(STATUS_OF_REASON[reason], document, headers)

    def _note(
        self,
        subject: Subject,
        reason: str,
        peer: str,
        size: int,
        way: "_Way",
        method: str = "",
        detail: str = "",
        event_id: str = "",
    ) -> None:
        status = STATUS_OF_REASON.get(reason, 0)
        refused = Refused(subject, reason, peer, detail, is_shortage=status == _UNAVAILABLE)
        seconds = self._clock() - way.began
        self._observe(
            WebhookReceived(
                reason.lower(),
                "",
                size,
                way.began,
                seconds,
                refused,
                status=status,
                event_id=event_id,
                span=way.span,
                stages=way.stages,
                http_method=method,
            )
        )


class _Way:
    """How far a request has come; see `Stages`."""

    __slots__ = ("began", "decoded", "read", "span", "verified")

    def __init__(self, began: float) -> None:
        self.began = began
        self.read = 0.0
        self.verified = 0.0
        self.decoded = 0.0
        self.span: Span | None = None

    @property
    def stages(self) -> Stages:
        return Stages(self.read, self.verified, self.decoded)


def _context_of(scope: Scope) -> TraceContext | None:
    """Return the trace context of a request's headers, None if they have none that can be read."""
    found = [it for it in scope["headers"] if it[0] in _TRACE_HEADERS]
    if not found:
        return None
    return received((name.decode(), value.decode("latin-1")) for name, value in found)


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "?"


def _declared_length(headers: Sequence[tuple[bytes, bytes]]) -> int:
    # The server takes one such line at the most, with digits that it can count to.
    return next((int(value) for name, value in headers if name == b"content-length"), 0)


async def _read_body(scope: Scope, receive: Receive, body: Body) -> None:
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            # Nobody reads the response; it only ends the request.
            reason = scope.get("state", {}).get(ENDED_FOR, DISCONNECTED)
            raise _RefusedError(reason, "the body ended before it was complete")
        body.add(message.get("body", b""))
        if not message.get("more_body", False):
            return
