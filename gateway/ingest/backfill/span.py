"""A span of the delivery log, read page by page: each is stored before the next is requested.

The provider shows the newest first, and the feed promises the oldest first. So what does not fit on
one page is read from the last page to the first. Of a span that does not change any more that
leaves nothing out; of one that does, what is added at its front moves the rest to pages that have
been read already. Such a span is cut where it begins to change, and what is beyond that is fetched
again by the next sweep.

At most three pages are in memory: the first, which says how many there are, the last, and the one
that shows that nothing follows.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Set
from dataclasses import replace

from gateway.ingest.backfill.reader import DeliveryLogReader, Entry, entries_of
from gateway.upstream.deliveries import DeliveriesPage, DeliveriesRequest, Delivery

# A span that fills more pages is halved: what has been done of a long outage must not be done again
# after a crash.
PAGES_MAX = 20

# Of a span that cannot be cut, in pages, or in entries if they are requested one by one: so many
# webhooks (50,000) were never sent in a second.
PAGES_ABSURD = 1_000

_log = logging.getLogger(__name__)

Store = Callable[[list[Entry]], Awaitable[None]]


class DeliverySpan:
    """A span of the log. `request` is for its first page.

    `can_be_cut` tells whether a part of it can be requested instead, `is_settled` whether what is
    added to it while it is read is fetched again anyway, or nothing is added.
    """

    def __init__(
        self,
        reader: DeliveryLogReader,
        request: DeliveriesRequest,
        *,
        can_be_cut: bool,
        is_settled: bool,
    ) -> None:
        self._reader = reader
        self._request = request
        self._can_be_cut = can_be_cut
        self._is_settled = is_settled

    async def read(self, store: Store) -> int | None:
        """Store its entries; return how many rows there were, None if it has to be cut.

        Raises UpstreamError; what has been stored stays.
        """
        first = await self._page(1)
        if not first.rows:
            return 0
        count = first.pages or 1
        if count > PAGES_MAX:
            return await self._forward(first, store)
        last = first if count == 1 else await self._page(count)
        if not last.rows or not await self._is_last(count, last, says_so=first.pages is not None):
            # The number of pages is missing or wrong.
            return await self._forward(first, store)
        if count == 1:
            await store(entries_of(first))
            return first.rows
        if self._can_be_cut and not self._is_settled:
            return None
        return await self._backward(first, count, last, store)

    async def _is_last(self, number: int, page: DeliveriesPage, *, says_so: bool) -> bool:
        if says_so and page.rows < self._request.size:
            return True
        # A full page may be followed by another; one that brings nothing new is not.
        after = await self._page(number + 1)
        return not _identified(after, number + 1) - _identified(page, number)

    async def _backward(
        self, first: DeliveriesPage, count: int, last: DeliveriesPage, store: Store
    ) -> int:
        """Store a first and a last page and those between them, the oldest first."""
        numbers: Iterable[int] = range(count - 1, 1, -1)
        if _oldest(first) < _oldest(last):
            # Not as the provider shows them today; it has not documented an order.
            first, last, numbers = last, first, range(2, count)
        rows = first.rows + last.rows
        await store(entries_of(last))
        for number in numbers:
            page = await self._page(number)
            rows += page.rows
            await store(entries_of(page))
        await store(entries_of(first))
        return rows

    async def _forward(self, page: DeliveriesPage, store: Store) -> int | None:
        """Store page after page of what has no known end, if it cannot be cut.

        Within such a second the newest come first.
        """
        if self._can_be_cut:
            return None
        rows, number = 0, 1
        before: Set[object] = frozenset()
        while True:
            shown = _identified(page, number)
            if not shown - before:
                return rows
            rows += page.rows
            await store(entries_of(page))
            is_last = page.pages is not None and number >= page.pages
            if is_last and page.rows < self._request.size:
                return rows
            if number >= PAGES_ABSURD:
                log_absurd()
                return rows
            before = shown
            number += 1
            page = await self._page(number)

    async def _page(self, number: int) -> DeliveriesPage:
        return await self._reader.page(replace(self._request, page=number))


def log_absurd() -> None:
    """Log that a second of the delivery log has no end."""
    _log.error("one second of the provider's delivery log has no end: the rest is skipped")


def _identified(page: DeliveriesPage, number: int) -> Set[object]:
    """Return what identifies a page's entries if they come again."""
    found: set[object] = set()
    for index, entry in enumerate(entries_of(page)):
        webhook = hash(entry.webhook) if isinstance(entry, Delivery) else 0
        found.add((entry.id, webhook) if entry.id or webhook else (number, index))
    return found


def _oldest(page: DeliveriesPage) -> int:
    return min((it.started_at_us for it in page.deliveries if it.started_at_us), default=0)
