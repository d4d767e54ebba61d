"""The seam between the gateway and HTTP: one request out, one response back.

A transport knows nothing of retries, deadlines over several attempts, or of the provider. It says
what happened in few words that the client builds on:

    TransportError
    +-- NotSentError      the request provably never left: nothing can have happened
    |   +-- OverloadedError   ... because too many are in flight
    +-- UnansweredError   it may have been received, but no complete response came back
    |   +-- NoRoomError       ... because the gateway could not hold it
    +-- OversizeError     a response came, larger than the gateway is willing to hold

Swap it (tests do) by handing another object of this shape to `TelnyxClient`.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

# The largest response that a transport reads, in bytes. The largest that is requested is a page of
# webhook deliveries, 50 with up to 60,000 characters each; 250 conferences are about 200 KiB. As
# Python objects a document can take thirty times its size, so this is also what bounds them.
RESPONSE_BYTES_MAX = 4 * 1024 * 1024


# Tuples rather than dataclasses here and where else a value is made for each call: a frozen
# dataclass takes three times as long to make.


class HttpRequest(NamedTuple):
    """A request in full; `url` is absolute."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    # The moment on the monotonic clock after which it must not be sent any more.
    send_by: float = math.inf

    def __repr__(self) -> str:
        # The headers hold the API key, the body may hold anything.
        return f"HttpRequest({self.method} {self.url})"


class HttpResponse(NamedTuple):
    """A response in full; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TransportError(Exception):
    """There is no response; the subclass says what that means."""


class NotSentError(TransportError):
    """The request provably never left."""


class OverloadedError(NotSentError):
    """The request was not sent because too many are in flight."""


class UnansweredError(TransportError):
    """The request may have been received, but no complete response came back."""


class NoRoomError(UnansweredError):
    """There was a response, but the gateway's buffers are too full to receive it."""


class OversizeError(TransportError):
    """The response is larger than the gateway is willing to hold."""


# A proxy's own refusal (RFC 9110, 15.5.8): nothing reached the provider, so nothing has happened.
PROXY_REFUSAL = 407


def proxy_refused(proxy: str | None) -> NotSentError:
    """Return the error for a 407, with the proxy's address and without its user and password."""
    where = "a proxy" if proxy is None else f"the proxy {urlsplit(proxy).netloc.rpartition('@')[2]}"
    return NotSentError(
        f"{where} requires other credentials (407): set user and password in GATEWAY_UPSTREAM_PROXY"
    )


class Transport(Protocol):
    """Sends requests and returns responses, whatever their status."""

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send a request and return the whole response within `timeout` seconds in all.

        It returns, or raises TransportError, when the request has ended on the wire.
        """

    def end(self, request: HttpRequest) -> None:
        """Have a request in flight end on the wire, if the transport can: nobody waits for it.

        Cancelling `send` is no way to do that: nobody would know when the request has ended.
        """

    async def close(self) -> None:
        """Close all connections."""
