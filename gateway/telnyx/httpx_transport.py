"""The transport on httpx, the only module that imports it."""

import asyncio

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
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class HttpxTransport:
    """Sends requests with httpx, by its own transport or by any other that httpx can use.

    Several times slower than `PyreqwestTransport`; for those who need something of httpx's world.
    No more than `connections_max` requests may be sent at one time: httpcore 1.0.9 loses a
    connection for good when a request is cancelled that waits in its pool (httpcore#1093).
    """

    can_end_early = True

    def __init__(
        self, connections_max: int = CONNECTIONS_MAX, inner: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._inner = inner or httpx.AsyncHTTPTransport(
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


def _said(error: Exception) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
