"""The transport on httpx, the only module that imports it."""

import asyncio
import ssl
from collections.abc import Sequence

import httpx

from gateway.telnyx.content import decoded
from gateway.telnyx.limit import CONNECTIONS_MAX
from gateway.telnyx.transport import (
    ANSWER_BYTES_MAX,
    HttpRequest,
    HttpResponse,
    NotSentError,
    OversizeError,
    UnansweredError,
)

# How long an idle connection is kept, in seconds: less than the minute after which common load
# balancers close it, so that a request seldom meets a closing connection.
KEEPALIVE_S = 30.0

# Raised before a byte of the request has been written.
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,  # the proxy refused to open a tunnel
    httpx.UnsupportedProtocol,
)


class HttpxTransport:
    """Sends requests with httpx, by its own transport or by any other that httpx can use.

    Several times slower than `PyreqwestTransport`; for those who need something of httpx's world.
    No more than `connections_max` requests may be sent at one time: httpcore 1.0.9 loses a
    connection for good when a request is cancelled that waits in its pool (httpcore#1093).
    `proxy` is an HTTP proxy's URL; `certificates` (DER) are trusted beside the system's.
    """

    can_end_early = True

    def __init__(
        self,
        connections_max: int = CONNECTIONS_MAX,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        proxy: str | None = None,
        certificates: Sequence[bytes] = (),
    ) -> None:
        trusted = _trusted(certificates)
        self._inner = inner or httpx.AsyncHTTPTransport(
            verify=trusted,
            proxy=None if proxy is None else _proxy(proxy, trusted),
            http2=False,  # GOAWAY loses requests (httpx#3324)
            trust_env=False,
            limits=httpx.Limits(
                max_connections=connections_max,
                # Pruning counts connections in use too: any lower number closes good ones.
                max_keepalive_connections=connections_max,
                keepalive_expiry=KEEPALIVE_S,
            ),
        )

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send a request; see `Transport.send`."""
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(request, timeout)
        except _NOT_SENT as error:
            raise NotSentError(_said(error)) from None
        except TimeoutError:
            raise UnansweredError("no response in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise UnansweredError(_said(error)) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._inner.aclose()

    async def _exchange(self, request: HttpRequest, timeout: float) -> HttpResponse:
        response = await self._inner.handle_async_request(
            httpx.Request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.body,
                # Waiting and connecting are bounded apart so that what never left is known as such.
                extensions={"timeout": httpx.Timeout(timeout, connect=timeout).as_dict()},
            )
        )
        try:
            parts: list[bytes] = []
            size = 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > ANSWER_BYTES_MAX:
                    raise OversizeError(f"the answer is larger than {ANSWER_BYTES_MAX} bytes")
                parts.append(part)
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return decoded(HttpResponse(response.status_code, headers, b"".join(parts)))


def _proxy(url: str, trusted: ssl.SSLContext) -> httpx.Proxy:
    # httpcore refuses a context for a proxy that is spoken to without TLS.
    return httpx.Proxy(url, ssl_context=trusted if url.startswith("https:") else None)


def _trusted(certificates: Sequence[bytes]) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    # The system's own, or what SSL_CERT_FILE names instead, as pyreqwest has them.
    context.load_default_certs()
    if certificates:
        context.load_verify_locations(cadata=b"".join(certificates))
    return context


def _said(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
