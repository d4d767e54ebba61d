"""Sweeps: a span of time in the provider's log of webhooks, fetched and stored."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from conferencing.v1.event_pb2 import EVENT_ORIGIN_BACKFILL
from gateway.backfill.report import Outcome
from gateway.events.log import EventLog
from gateway.telnyx.deliveries import DeliveriesPage, DeliveriesRequest, Delivery
from gateway.webhooks.decoder import NotAnEventError, WebhookDecoder
from gateway.webhooks.receiver import BODY_BYTES_MAX, WEBHOOK_PATH

# The pause between two requests, in seconds: back-fill must leave the provider's rate limit to
# commands. Five pages a second are 500 webhooks a second.
REQUEST_PAUSE_S = 0.2

# A span that fills more pages is halved: one span at a time is in memory, and what has been done
# of a long outage must not be done again after a crash.
PAGES_MAX = 20

# Spans, in microseconds. The provider's timestamps are not finer than this least one is long.
SPAN_MAX_US = 3_600_000_000
SPAN_MIN_US = 1_000_000

_log = logging.getLogger(__name__)


class DeliverySource(Protocol):
    """Where deliveries are fetched from."""

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        """Return a page. Raises GatewayError."""


class Addressees:
    """Tells which deliveries were meant for this gateway.

    An account's log holds the webhooks of all its applications. `urls` are the gateway's own
    public addresses; without any, each address that ends in the gateway's path counts.
    """

    def __init__(self, urls: Sequence[str] = ()) -> None:
        self._urls = frozenset(url.rstrip("/") for url in urls)

    def include(self, delivery: Delivery) -> bool:
        """Tell whether a delivery was addressed here; if nobody can tell, it was."""
        if delivery.urls is None:
            return True
        if self._urls:
            return any(url.rstrip("/") in self._urls for url in delivery.urls)
        return any(_path(url).endswith(WEBHOOK_PATH) for url in delivery.urls)


class Sweeper:
    """Makes sweeps. `now` gives the time in seconds since 1970."""

    def __init__(
        self,
        source: DeliverySource,
        decoder: WebhookDecoder,
        log: EventLog,
        addressees: Addressees,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._event_log = log
        self._addressees = addressees
        self._now = now
        self._sleep = sleep

    async def sweep(
        self,
        since_us: int,
        until_us: int,
        seen: Callable[[Outcome], None],
        done: Callable[[int], Awaitable[None]],
        *,
        failed_only: bool,
    ) -> None:
        """Store what was first sent between two moments and is not held, oldest first.

        `seen` is told what became of each delivery, `done` after each part up to which moment
        everything is stored. Raises GatewayError or LogUnavailableError; what is stored stays.
        """
        span_us = SPAN_MAX_US
        while since_us < until_us:
            end_us = min(since_us + span_us, until_us)
            found = await self._fetch(since_us, end_us, failed_only)
            if found is None:
                span_us = max((end_us - since_us) // 2, SPAN_MIN_US)
                continue
            await self._store(found, seen)
            await done(end_us)
            since_us = end_us
            span_us = min(span_us * 2, SPAN_MAX_US)

    async def _fetch(
        self, since_us: int, until_us: int, failed_only: bool
    ) -> list[Delivery] | None:
        """Return all deliveries of a span, or None if there are too many for one."""
        found: list[Delivery] = []
        number = 1
        while True:
            # What comes in meanwhile began after the span and does not move its pages.
            page = await self._source.page(
                DeliveriesRequest(since_us, until_us, number, failed_only)
            )
            await self._sleep(REQUEST_PAUSE_S)
            if page.pages > PAGES_MAX and until_us - since_us > SPAN_MIN_US:
                return None
            found += page.deliveries
            if number >= page.pages:
                return found
            number += 1

    async def _store(self, deliveries: Sequence[Delivery], seen: Callable[[Outcome], None]) -> None:
        # Any order would be right, this one is what readers expect.
        ordered = sorted(deliveries, key=lambda it: it.started_at_us)
        # All at once: the log stores them in a few commits.
        outcomes = await asyncio.gather(*map(self._store_one, ordered), return_exceptions=True)
        failure: BaseException | None = None
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                failure = outcome
            else:
                seen(outcome)
        if failure is not None:
            raise failure

    async def _store_one(self, delivery: Delivery) -> Outcome:
        if not self._addressees.include(delivery):
            return Outcome.FOREIGN
        if len(delivery.webhook) > BODY_BYTES_MAX:
            # As at the front door: no client could be sent it.
            _log.warning("delivery %s cannot be back-filled: it is too large", delivery.id)
            return Outcome.UNREADABLE
        try:
            event = self._decoder.decode(
                delivery.webhook, round(self._now() * 1e6), EVENT_ORIGIN_BACKFILL
            )
        except NotAnEventError as error:
            _log.warning("delivery %s cannot be back-filled: %s", delivery.id, error)
            return Outcome.UNREADABLE
        except Exception:
            # One webhook that this version stumbles over must not keep out all the others.
            _log.exception("delivery %s cannot be back-filled", delivery.id)
            return Outcome.UNREADABLE
        appended = await self._event_log.append(event)
        return Outcome.DUPLICATE if appended.duplicate else Outcome.STORED


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:  # no address at all
        return ""
