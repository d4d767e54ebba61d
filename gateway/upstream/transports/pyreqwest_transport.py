"""The transport on pyreqwest (Rust: reqwest and hyper), the only module that imports it."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import BuilderError, PoolTimeoutError, PyreqwestError, RequestError
from pyreqwest.http import HeaderMap
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from gateway.bytebudget import ByteBudget
from gateway.upstream.sending.limit import CONNECTIONS_MAX
from gateway.upstream.transport import (
    PROXY_REFUSAL,
    HttpRequest,
    HttpResponse,
    NotSentError,
    TransportError,
    UnansweredError,
    proxy_refused,
)
from gateway.upstream.transports.content import decoded
from gateway.upstream.transports.intake import UNCOUNTED_BYTES, Intake

# How long an idle connection is kept, in seconds: less than the minute after which common load
# balancers close it, so that a request seldom meets a closing connection.
KEEPALIVE_S = 30.0

# How long connecting may take, in seconds. Only a limit of its own tells a request that never left
# from one without a response; one whose whole time is shorter counts as the latter.
CONNECT_S = 5.0

# How much of a body of unknown size is read at a time, in bytes. The pieces that it comes in, which
# may be single bytes, are joined outside of Python.
_PIECE_BYTES = 64 * 1024

# What hyper-util calls failures before a connection is there: name resolution, TCP, TLS. The
# classes of pyreqwest do not tell: ConnectError is also what a provider gives rise to that hangs up
# after it has read the request, and ConnectTimeoutError is any time-out before the response's head.
_CONNECTING = "client error (Connect)"

# What hyper-util calls a proxy's 407 to a request for a tunnel.
_PROXY_REFUSES = "tunnel error: proxy authorization required"


class PyreqwestTransport:
    """Sends requests with pyreqwest. Neither are redirects followed nor requests retried.

    `proxy` is an HTTP proxy's URL; `certificates` (DER) are trusted beside the system's; `budget`
    is what all buffers may hold together.
    """

    def __init__(
        self,
        connections_max: int = CONNECTIONS_MAX,
        *,
        proxy: str | None = None,
        certificates: Sequence[bytes] = (),
        budget: ByteBudget | None = None,
    ) -> None:
        self._proxy = proxy
        self._budget = budget or ByteBudget()
        # Without this it would take the proxy from the environment.
        builder = ClientBuilder().no_proxy()
        if proxy is not None:
            builder = builder.proxy(ProxyBuilder.all(proxy))
        for certificate in certificates:
            builder = builder.add_root_certificate_der(certificate)
        self._client: Client | None = (
            builder.http1_only()
            .follow_redirects(False)
            .referer(False)
            .default_cookie_store(False)
            # Bodies come as they were sent: `content` decodes them, within bounds.
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .max_connections(connections_max)
            .pool_max_idle_per_host(connections_max)
            .pool_idle_timeout(timedelta(seconds=KEEPALIVE_S))
            .connect_timeout(timedelta(seconds=CONNECT_S))
            .build()
        )

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send a request; see `Transport.send`."""
        try:
            async with self._prepared(request, timeout) as response:
                if response.status == PROXY_REFUSAL:
                    raise proxy_refused(self._proxy)
                body = await _body(response, self._budget)
                return decoded(HttpResponse(response.status, _headers(response.headers), body))
        except PyreqwestError as error:
            if _PROXY_REFUSES in _causes(error):
                raise proxy_refused(self._proxy) from None
            raise _translated(error) from None

    def end(self, request: HttpRequest) -> None:
        """Do nothing: the request goes on until its response or its time-out.

        pyreqwest 0.15 lets go of a request that is cancelled, but detaches its Rust task instead of
        aborting it.
        """

    async def close(self) -> None:
        """Close all connections; requests still in flight fail with UnansweredError."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        # The idle connections close with the last reference to the client, not before.

    def _prepared(self, request: HttpRequest, timeout: float) -> StreamRequest:
        if self._client is None:
            raise NotSentError("the transport is closed")
        try:
            builder = (
                self._client.request(request.method, request.url)
                .headers(request.headers)
                .timeout(timedelta(seconds=timeout))
            )
            if request.body is not None:
                builder = builder.body_bytes(request.body)
            return builder.build_streamed()
        except ValueError:  # an address or a header that cannot be (its text may hold the key)
            raise NotSentError("the request cannot be written as HTTP") from None


async def _body(response: Response, budget: ByteBudget) -> bytes:
    declared = response.get_header("content-length")
    # hyper reads no more than was declared, and refuses what is no number: what it lets pass
    # otherwise (a number said twice) is left to the count of what comes.
    size = int(declared) if declared and declared.isdecimal() else None
    if response.get_header("transfer-encoding") is not None:
        size = None
    if size is not None and size <= UNCOUNTED_BYTES:
        return bytes(await response.bytes())
    intake = Intake(budget)
    try:
        if size is not None:
            intake.expect(size)
            return bytes(await response.bytes())
        while (part := await response.body_reader.read(_PIECE_BYTES)) is not None:
            intake.add(bytes(part))
        return intake.body
    finally:
        intake.close()


def _headers(headers: HeaderMap) -> dict[str, str]:
    """Return the headers, lines of one name joined (RFC 9110, 5.3)."""
    try:
        lines = headers.items()
        found = dict(lines)
        if len(found) == len(lines):
            return found
        names: Iterable[str] = found
    except ValueError:  # not ASCII: none that the gateway reads
        names = headers
    return {name: text for name in names if (text := _text(headers, name)) is not None}


def _text(headers: HeaderMap, name: str) -> str | None:
    try:
        lines = headers.getall(name)
    except ValueError:
        return None
    # The one header that cannot be joined; nobody here reads it.
    return lines[-1] if name == "set-cookie" else ", ".join(lines)


def _translated(error: PyreqwestError) -> TransportError:
    causes = _causes(error)
    if isinstance(error, PoolTimeoutError):
        return NotSentError("no connection became free in time")
    if isinstance(error, BuilderError) or _CONNECTING in causes:
        return NotSentError(causes[-1] if causes else error.message)
    if isinstance(error, TimeoutError):
        return UnansweredError("no response in time")
    # The first causes only name the URL and say that it failed.
    return UnansweredError(causes[-1] if causes else error.message)


def _causes(error: PyreqwestError) -> list[str]:
    if not isinstance(error, (RequestError, BuilderError)):
        return []
    return [cause["message"] for cause in error.details.get("causes") or ()]
