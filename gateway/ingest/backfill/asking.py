"""Asking the provider for its log: paced, counted, and never before it wants to be asked."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from gateway.upstream.deliveries import (
    DeliveriesPage,
    DeliveriesRequest,
    Delivery,
    UnreadableEntry,
)
from gateway.upstream.errors import UpstreamError

# The pause between two requests, in seconds: back-fill must leave the provider's rate limit to
# commands. Five pages a second are 250 webhooks a second.
REQUEST_PAUSE_S = 0.2

# How often a single entry is asked for before it is passed over: what stands in the way, such as
# a proxy's page, may be gone.
TRIES = 3

Entry: TypeAlias = Delivery | UnreadableEntry


class DeliverySource(Protocol):
    """Where deliveries are fetched from."""

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        """Return a page. Raises UpstreamError."""


class Asking:
    """The questions to the provider's log, one after the other. `requests` counts them."""

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
        """Return a page, or None if it cannot be had although the provider answers others.

        Raises UpstreamError if it answers none.
        """
        for attempt in range(1, TRIES + 1):
            try:
                return await self.page(request)
            except UpstreamError as error:
                if attempt == TRIES:
                    await self.make_sure_it_answers(error)
                else:
                    await self._wait_as_asked(error)
        return None

    async def make_sure_it_answers(self, error: UpstreamError) -> None:
        """Raise the error if the provider does not answer an easy question either."""
        await self._wait_as_asked(error)
        # Nothing can ever stand in 1970, whatever any clock shows.
        try:
            await self.page(DeliveriesRequest(0, 0, size=1))
        except UpstreamError as this_time:
            raise (error if this_time.retry_after is None else this_time) from None

    async def _wait_as_asked(self, error: UpstreamError) -> None:
        """Wait until the provider wants to be asked again, if it has said so."""
        if error.retry_after is not None:
            await self._sleep(error.retry_after)


def entries_of(page: DeliveriesPage) -> list[Entry]:
    """Return what stands on a page, readable or not."""
    return [*page.deliveries, *page.unreadable]
