"""The HTTP end of webhooks: read, verify, decode, store, answer."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from gateway.events.log import EventLog, LogUnavailableError
from gateway.webhooks.decoder import NotAnEventError, WebhookDecoder
from gateway.webhooks.signature import SignatureError, SignatureVerifier

# The provider's webhooks are a few kilobytes. The limit leaves room for their growth and keeps an
# event with its signed bytes below the 4 MiB that gRPC clients accept.
BODY_BYTES_MAX = 512 * 1024

# Seconds after which to send again what could not be stored.
RETRY_AFTER_S = 5

# The answer to each kind of bad request. A forged or stale webhook is unauthorised, not malformed.
_STATUS_OF_REASON = {
    "MISSING_HEADER": 400,
    "BAD_SIGNATURE": 400,
    "BAD_TIMESTAMP": 400,
    "STALE_TIMESTAMP": 401,
    "SIGNATURE_MISMATCH": 401,
    "NOT_JSON": 400,
    "NOT_AN_EVENT": 422,
    "API_VERSION_1": 422,
    "BODY_TOO_LARGE": 413,
    "METHOD_NOT_ALLOWED": 405,
    "LOG_UNAVAILABLE": 503,
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """How a request to the webhook address ended, for metrics and logs.

    `outcome` is `stored`, `duplicate` or the reason of a refusal in lower case.
    """

    outcome: str
    event_type: str
    size_bytes: int


class _RefusedError(Exception):
    def __init__(self, reason: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.headers = headers


class WebhookReceiver:
    """Answers `POST /webhooks/telnyx`: 2xx once the event is on disk, and not before.

    What is wrong with the request gets a 4xx that says so; what is wrong with the log gets a 503,
    after which the provider sends again. `now` gives the time in seconds since 1970.
    """

    def __init__(
        self,
        verifier: SignatureVerifier,
        decoder: WebhookDecoder,
        log: EventLog,
        now: Callable[[], float],
        observe: Callable[[Received], None],
    ) -> None:
        self._verifier = verifier
        self._decoder = decoder
        self._event_log = log
        self._now = now
        self._observe = observe

    async def __call__(self, request: Request) -> Response:
        """Answer one request."""
        size = 0
        try:
            if request.method != "POST":
                raise _RefusedError(
                    "METHOD_NOT_ALLOWED",
                    "webhooks are received by POST: set the voice application to deliver them so",
                    {"allow": "POST"},
                )
            body = await _read_body(request)
            size = len(body)
            return await self._store(request, body)
        except _RefusedError as refused:
            return self._refuse(refused.reason, str(refused), size, refused.headers)
        except (SignatureError, NotAnEventError) as refused:
            return self._refuse(refused.reason, str(refused), size)
        except LogUnavailableError as error:
            _log.error("a webhook could not be stored, the provider will send it again: %s", error)
            headers = {"retry-after": str(RETRY_AFTER_S)}
            return self._refuse("LOG_UNAVAILABLE", "the event could not be stored", size, headers)

    async def _store(self, request: Request, body: bytes) -> Response:
        self._verifier.verify(request.headers, body)
        event = self._decoder.decode(body, round(self._now() * 1e6))
        appended = await self._event_log.append(event)
        outcome = "duplicate" if appended.duplicate else "stored"
        self._observe(Received(outcome, event.keys.type, len(body)))
        return JSONResponse({"status": outcome})

    def _refuse(
        self, reason: str, message: str, size: int, headers: dict[str, str] | None = None
    ) -> Response:
        self._observe(Received(reason.lower(), "", size))
        _log.info("refused a webhook: %s", reason)
        return JSONResponse(
            {"error": {"reason": reason, "message": message}}, _STATUS_OF_REASON[reason], headers
        )


async def _read_body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise _too_large()
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > BODY_BYTES_MAX:
                raise _too_large()
            parts.append(part)
    except ClientDisconnect:
        # Nobody reads the answer; it only ends the request.
        raise _RefusedError("NOT_JSON", "the body ended before it was complete") from None
    return b"".join(parts)


def _too_large() -> _RefusedError:
    return _RefusedError(
        "BODY_TOO_LARGE",
        f"the body is larger than {BODY_BYTES_MAX} bytes",
        {"connection": "close"},
    )
