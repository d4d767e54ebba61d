"""Backfill by one of several gateways: whoever holds the lease does it, the others look on."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gateway.ingest.backfill.complete import Completeness
from gateway.ingest.backfill.reader import DeliverySource
from gateway.journal.errors import LogUnavailableError
from gateway.journal.ports import Lease
from gateway.upstream.deliveries import DeliveriesPage, DeliveriesRequest

# How often those that look on read how far the other has come, in seconds.
LOOK_EVERY_S = 30.0


class SourceWhileHeld:
    """Deliveries from another source, for as long as the lease is held."""

    def __init__(self, source: DeliverySource, lease: Lease) -> None:
        self._source = source
        self._lease = lease

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        """See `DeliverySource.page`. Raises LeaseLostError, too: of a page that came too late."""
        self._lease.check()
        page = await self._source.page(request)
        self._lease.check()
        return page


async def look_on(
    completeness: Completeness,
    lease: Lease,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Read from time to time how far backfill has come, while another gateway does it."""
    while True:
        await sleep(LOOK_EVERY_S)
        if not lease.is_held:
            with contextlib.suppress(LogUnavailableError):
                await completeness.reload()
