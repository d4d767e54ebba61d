"""Reads the provider's delivery log: paced, counted, and never before it wants a retry."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from gateway.upstream.deliveries import (
    DeliveriesPage,
    DeliveriesRequest,
    Delivery,
    UnreadableEntry,
)
from gateway.upstream.errors import UpstreamError

# The pause between two requests, in seconds: backfill must leave the provider's rate limit to
# commands. Five pages a second are 250 webhooks a second.
REQUEST_PAUSE_S = 0.2

# How often a single entry is requested before it is skipped: what is in the way, such as a proxy's
# page, may pass.
TRIES = 3

Entry: TypeAlias = Delivery | UnreadableEntry


class DeliverySource(Protocol):
    """Where deliveries are fetched from."""

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        """Return a page. Raises UpstreamError."""


class DeliveryLogReader:
    """Reads the provider's delivery log, one page after the other. `requests` counts requests."""

    def __init__(self, source: DeliverySource, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._source = source
        self._sleep = sleep
        self.requests = 0

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        """Return a page. Raises UpstreamError."""
        self.requests += 1
        page = await self._source.page(request)
        await self._sleep(REQUEST_PAUSE_S)
        return page

    async def page_or_none(self, request: DeliveriesRequest) -> DeliveriesPage | None:
        """Return a page, or None if it cannot be fetched although others can.

        Raises UpstreamError if none can.
        """
        for attempt in range(1, TRIES + 1):
            try:
                return await self.page(request)
            except UpstreamError as error:
                if attempt == TRIES:
                    await self.check_availability(error)
                else:
                    await self._wait_as_told(error)
        return None

    async def check_availability(self, error: UpstreamError) -> None:
        """Raise the error if the provider does not respond to an easy request either."""
        await self._wait_as_told(error)
        # Nothing was ever sent in 1970, whatever any clock shows.
        try:
            await self.page(DeliveriesRequest(0, 0, size=1))
        except UpstreamError as latest:
            raise (error if latest.retry_after is None else latest) from None

    async def _wait_as_told(self, error: UpstreamError) -> None:
        """Wait until the provider wants a retry, if it has said when."""
        if error.retry_after is not None:
            await self._sleep(error.retry_after)


def entries_of(page: DeliveriesPage) -> list[Entry]:
    """Return the entries on a page, readable or not."""
    return [*page.deliveries, *page.unreadable]
