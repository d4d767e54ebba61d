"""The transport on httpx, the only module that imports it."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any

import httpx

from gateway.bytebudget import ByteBudget
from gateway.upstream.sending.limit import CONNECTIONS_MAX
from gateway.upstream.transport import (
    PROXY_REFUSAL,
    HttpRequest,
    HttpResponse,
    NotSentError,
    UnansweredError,
    proxy_refused,
)
from gateway.upstream.transports.content import decoded
from gateway.upstream.transports.httpx_streams import USE, Streams, Use, close_if_more_came
from gateway.upstream.transports.intake import Intake

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
    No more than `connections_max` requests may be sent at one time, and none may be cancelled while
    the transport is to be used further: see `httpx_streams`.
    `proxy` is an HTTP proxy's URL; `certificates` (DER) are trusted beside the system's; `budget`
    is what all buffers may hold together.
    """

    def __init__(
        self,
        connections_max: int = CONNECTIONS_MAX,
        inner: httpx.AsyncBaseTransport | None = None,
        *,
        proxy: str | None = None,
        certificates: Sequence[bytes] = (),
        budget: ByteBudget | None = None,
    ) -> None:
        self._proxy = proxy
        self._budget = budget or ByteBudget()
        trusted = _trusted(certificates)
        self._uses: dict[int, Use] = {}
        self._inner = inner or _Transport(
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
        use = self._uses[id(request)] = Use()
        before = USE.set(use)
        # In total: httpx's own times are for each step.
        timer = asyncio.get_running_loop().call_later(timeout, use.end)
        try:
            return await self._exchange(request, timeout, use)
        except _NOT_SENT as error:
            if isinstance(error, httpx.ProxyError) and str(error).startswith(str(PROXY_REFUSAL)):
                raise proxy_refused(self._proxy) from None
            raise NotSentError(_said(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            late = use.has_ended or isinstance(error, httpx.TimeoutException)
            raise UnansweredError("no response in time" if late else _said(error)) from None
        finally:
            timer.cancel()
            USE.reset(before)
            use.leave()
            del self._uses[id(request)]

    def end(self, request: HttpRequest) -> None:
        """End a request in flight; see `Transport.end`."""
        use = self._uses.get(id(request))
        if use is not None:
            use.end()

    async def close(self) -> None:
        """Close all connections."""
        await self._inner.aclose()

    async def _exchange(self, request: HttpRequest, timeout: float, use: Use) -> HttpResponse:
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
        use.head_has_come()
        intake = Intake(self._budget)
        try:
            if response.status_code == PROXY_REFUSAL:
                raise proxy_refused(self._proxy)
            # As it was sent: what httpx would decode has no bounds. `aiter_raw` would close the
            # response at its end.
            assert isinstance(response.stream, httpx.AsyncByteStream)
            async for part in response.stream:
                intake.add(part)
            await close_if_more_came(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return decoded(HttpResponse(response.status_code, headers, intake.body))
        finally:
            intake.close()
            await response.aclose()


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # httpx has no argument for it; httpcore has (its documentation, "Network Backends").
        self._pool._network_backend = Streams(self._pool._network_backend)


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
