"""Probes: harmless queries to the provider, and what every request's end says about it."""

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic, time

import orjson

from gateway.upstream.ends import End, end_of_status
from gateway.upstream.failures.errorbody import KEY_REJECTED, ErrorBody
from gateway.upstream.health.health import ProviderHealth, Sign
from gateway.upstream.sending.retry_after import retry_after
from gateway.upstream.transport import (
    HttpRequest,
    HttpResponse,
    NoRoomError,
    OversizeError,
    Transport,
    TransportError,
)

# Connections that are kept for probes.
CONNECTIONS = 1

# How often to check whether a probe is due, in seconds.
TICK_S = 1.0

# How often to probe while something is wrong, in seconds.
TROUBLE_S = 2.0
# Younger trouble often passes before a probe could confirm it, in seconds.
_SUSPICION_S = 4.0
# How long there may be no sign of the provider itself before it is probed, in seconds. A dead
# provider is noticed within a minute even if nobody calls and each probe takes its full time: this
# and a tick, the first probe, then 30 s of trouble and at most one further probe and a tick.
SILENCE_S = 15.0
# How long a probe may take, in seconds.
PROBE_S = 5.0

# A query that any account can make, whatever it has: the first of its queues.
_PROBE = "/queues?page%5Bsize%5D=1"

# The responses whose `Retry-After` and the like are obeyed. Others have the same headers for what
# they count, whatever the response is.
_WISHES = frozenset({Sign.BUSY, Sign.FAILING})

# What every resource of the provider's is under, and nothing that responds in its place has. Looked
# for as it is: parsing each response would cost more than it tells.
_DATA = re.compile(rb'"data"\s*:')

_UNAUTHORIZED, _FORBIDDEN = 401, 403


class WatchedTransport:
    """A transport whose requests are signs of the provider's health.

    Failures of requests that the gateway has ended itself are no signs.
    """

    def __init__(self, inner: Transport, health: ProviderHealth) -> None:
        self._inner = inner
        self._health = health
        # Those in flight by their identity, and whether `end` was called.
        self._ended: dict[int, bool] = {}
        self._closing = False

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """Send a request; see `Transport.send`."""
        self._ended[id(request)] = False
        try:
            response = await self._inner.send(request, timeout)
        except TransportError as error:
            if not (self._closing or self._ended[id(request)]):
                self._health.note(*_sign_of_error(error))
            raise
        finally:
            del self._ended[id(request)]
        self._health.note(*_sign_of(response))
        return response

    def end(self, request: HttpRequest) -> None:
        """See `Transport.end`."""
        if id(request) in self._ended:
            self._ended[id(request)] = True
        self._inner.end(request)

    async def close(self) -> None:
        """Close the transport."""
        self._closing = True
        await self._inner.close()


class ProviderWatch:
    """Probes the provider when requests are not signs enough, and reports changes of readiness.

    Probes are outside the limit on requests, on a connection that is kept for them: they matter
    most when all others hang. While something is wrong it always probes: a gateway that is not
    ready gets no calls, and would never learn that the provider is back. With `probe_first` it also
    probes at the start and when there has been no sign of the provider for some time. It never
    probes before the provider wants a retry (`Retry-After`), however long that is: only the
    requests of callers can end a trouble sooner.

    `now` is a monotonic clock, `wall` gives the time in seconds since 1970.
    """

    def __init__(
        self,
        transport: Transport,
        base_url: str,
        headers: Mapping[str, str],
        health: ProviderHealth,
        on_change: Callable[[], Awaitable[None]],
        *,
        probe_first: bool,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._transport = transport
        self._request = HttpRequest("GET", base_url + _PROBE, headers)
        self._health = health
        self._on_change = on_change
        self._probe_first = probe_first
        self._sleep = sleep
        self._now = now
        self._wall = wall
        self._probed_at = -math.inf
        # When the provider wants a retry.
        self._not_before = -math.inf

    async def run(self) -> None:
        """Watch until cancelled."""
        was_ready = self._health.not_ready is None
        if self._probe_first:
            await self._probe()
        while True:
            if (self._health.not_ready is None) != was_ready:
                was_ready = not was_ready
                await self._on_change()
            await self._sleep(TICK_S)
            if self._is_due():
                await self._probe()

    def _is_due(self) -> bool:
        if self._now() < self._not_before:
            return False
        health = self._health
        is_suspect = health.trouble_s is not None and health.trouble_s >= _SUSPICION_S
        if is_suspect or health.not_ready is not None:
            return self._now() - self._probed_at >= TROUBLE_S
        return self._probe_first and health.silence_s >= SILENCE_S

    async def _probe(self) -> None:
        self._probed_at = self._now()
        try:
            response = await self._transport.send(self._request, PROBE_S)
        except TransportError as error:
            self._health.note(*_sign_of_error(error), probe=True)
        else:
            sign, words = _sign_of_probe(response)
            wait = _wish(response, self._wall) if sign in _WISHES else None
            if wait:
                self._not_before = self._now() + wait
                words = f"it asks for a retry in {wait:.0f} s: {words}"
            self._health.note(sign, words, probe=True, unasked_s=wait or 0.0)


def _wish(response: HttpResponse, wall: Callable[[], float]) -> float | None:
    is_limited = end_of_status(response.status) is End.RATE_LIMITED
    return retry_after(response.headers, wall, is_limited=is_limited)


def _sign_of_error(error: TransportError) -> tuple[Sign, str]:
    if isinstance(error, (NoRoomError, OversizeError)):
        return Sign.RESPONDED, ""
    return Sign.UNREACHABLE, str(error)


def _sign_of(response: HttpResponse) -> tuple[Sign, str]:
    status = response.status
    if status == _UNAUTHORIZED or (status == _FORBIDDEN and _rejects_the_key(response.body)):
        return Sign.REJECTED, response.body.decode(errors="replace")
    end = end_of_status(status)
    if end is End.RATE_LIMITED:
        return Sign.BUSY, ""
    if end in (End.TRANSIENT, End.SERVER_ERROR):
        return Sign.FAILING, f"HTTP {status} {response.body.decode(errors='replace')}"
    if end is End.SUCCESS and _DATA.search(response.body):
        return Sign.WELL, ""
    return Sign.RESPONDED, ""


def _sign_of_probe(response: HttpResponse) -> tuple[Sign, str]:
    """Judge the response to a probe, which has a known form."""
    sign, words = _sign_of(response)
    if sign not in (Sign.WELL, Sign.RESPONDED):
        return sign, words
    if response.status == _FORBIDDEN or (sign is Sign.WELL and _has_data(response.body)):
        return Sign.WELL, ""  # a key may have no right to queues
    return Sign.MISTAKEN, f"HTTP {response.status} to a query that always succeeds"


def _rejects_the_key(body: bytes) -> bool:
    return any(error.code == KEY_REJECTED for error in ErrorBody.read(body).errors)


def _has_data(body: bytes) -> bool:
    try:
        document = orjson.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and "data" in document
