"""Fetching: a span of time in the provider's log, whole, in pieces that can be read.

What the provider cannot give in one response (it is larger than a transport takes, or fails each
time) is asked for in ever smaller pieces, down to one entry. A piece that stays unreadable sweep
after sweep is passed over, so that it does not keep out all that follows; but only while the
provider answers other questions. One that answers none is away, and is asked again later.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeAlias

from gateway.errors import GatewayError
from gateway.telnyx.deliveries import (
    DeliveriesPage,
    DeliveriesRequest,
    Delivery,
    UnreadableEntry,
    moment_text,
)
from gateway.telnyx.failures import UNREADABLE_ANSWER

# The pause between two requests, in seconds: back-fill must leave the provider's rate limit to
# commands. Five pages a second are 500 webhooks a second.
REQUEST_PAUSE_S = 0.2

# A span that fills more pages is halved: one span at a time is in memory, and what has been done
# of a long outage must not be done again after a crash.
PAGES_MAX = 20

# Spans, in microseconds. The provider's timestamps are not finer than this least one is long.
SPAN_MAX_US = 3_600_000_000
SPAN_MIN_US = 1_000_000

# Of a span that cannot be cut: a hundred thousand webhooks in a second were never sent.
_PAGES_ABSURD = 1_000

# How often a single entry is asked for before it is passed over: what stands in the way, such as
# a proxy's page, may be gone.
TRIES = 3

# Entries in a row that are passed over one by one; after so many, the rest of the second is.
_SKIPPED_MAX = 20

# Sweeps in a row that must fail before anything is passed over: with the pauses between them
# seconds for what cannot be read, and five minutes for what the provider itself calls a failure.
UNREADABLE_SWEEPS = 3
FAILED_SWEEPS = 10

_log = logging.getLogger(__name__)


class DeliverySource(Protocol):
    """Where deliveries are fetched from."""

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        """Return a page. Raises GatewayError."""


Entry: TypeAlias = Delivery | UnreadableEntry


class Fetcher:
    """Fetches a stretch of the provider's log, span by span, oldest first."""

    def __init__(self, source: DeliverySource, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._source = source
        self._sleep = sleep
        # Seconds of the log (of 1970) in which something has been passed over.
        self._skipped: set[int] = set()

    @property
    def skipped_pieces(self) -> int:
        """How many pieces, of up to a second, have been passed over; each is counted once."""
        return len(self._skipped)

    async def fetch(
        self,
        since_us: int,
        until_us: int,
        store: Callable[[list[Entry], int], Awaitable[None]],
        *,
        failed_only: bool,
        failed_before: int,
    ) -> None:
        """Give everything between two moments to `store`, with the moment up to which it is that.

        `failed_before` is how many sweeps have failed since the last that did not. Raises
        GatewayError.
        """
        span_us = SPAN_MAX_US
        while since_us < until_us:
            end_us = min(since_us + span_us, until_us)
            request = DeliveriesRequest(since_us, end_us, failed_only=failed_only)
            can_be_cut = end_us - since_us > SPAN_MIN_US
            try:
                entries = await self._span(request, can_be_cut)
            except GatewayError as error:
                gives_up = failed_before >= (
                    UNREADABLE_SWEEPS if _is_unreadable(error) else FAILED_SWEEPS
                )
                if not gives_up and not (can_be_cut and _is_unreadable(error)):
                    raise
                await self._make_sure_it_answers(error, until_us)
                entries = None if can_be_cut else await self._one_by_one(request, until_us)
            if entries is None:
                span_us = max((end_us - since_us) // 2, SPAN_MIN_US)
                continue
            await store(entries, end_us)
            since_us = end_us
            span_us = min(span_us * 2, SPAN_MAX_US)

    async def _span(self, request: DeliveriesRequest, can_be_cut: bool) -> list[Entry] | None:
        """Return all entries of a span, or None if there are too many for one."""
        found: dict[object, Entry] = {}
        while True:
            # What comes in meanwhile began after the span and does not move its pages.
            page = await self._page(request)
            if (page.pages or request.page) > PAGES_MAX and can_be_cut:
                return None
            known = len(found)
            found |= _identified(page, request.page)
            # What is said of the number of pages may be missing or wrong: a full page is followed
            # by another, and one that brings nothing new is the last.
            is_last = page.pages is not None and request.page >= page.pages
            if len(found) == known or (is_last and page.rows < request.size):
                return list(found.values())
            if request.page >= _PAGES_ABSURD:
                _log.error("the provider's log of one second does not end: the rest is left out")
                return list(found.values())
            request = replace(request, page=request.page + 1)

    async def _one_by_one(self, request: DeliveriesRequest, elsewhere_us: int) -> list[Entry]:
        """Return what can be read of a span that cannot be cut further, and pass over the rest."""
        found: list[Entry] = []
        request = replace(request, size=1)
        skipped, pages = 0, request.page
        while skipped < _SKIPPED_MAX and request.page <= pages:
            page = await self._page_or_none(request, elsewhere_us)
            if page is None:
                skipped += 1
                pages = max(pages, request.page + 1)
                self._pass_over(request)
            elif page.rows:
                skipped = 0
                pages = request.page + 1 if page.pages is None else page.pages
                found += (*page.deliveries, *page.unreadable)
            else:
                break
            request = replace(request, page=request.page + 1)
        return found

    async def _page_or_none(
        self, request: DeliveriesRequest, elsewhere_us: int
    ) -> DeliveriesPage | None:
        for attempt in range(1, TRIES + 1):
            try:
                return await self._page(request)
            except GatewayError as error:
                if attempt == TRIES:
                    await self._make_sure_it_answers(error, elsewhere_us)
                else:
                    await self._wait_as_asked(error)
        return None

    async def _make_sure_it_answers(self, error: GatewayError, elsewhere_us: int) -> None:
        """Raise the error if the provider does not answer an easy question either."""
        await self._wait_as_asked(error)
        # After everything that is asked for: nothing can stand there yet.
        moment_us = elsewhere_us + SPAN_MIN_US
        try:
            await self._page(DeliveriesRequest(moment_us, moment_us, size=1))
        except GatewayError as this_time:
            raise (error if this_time.retry_after is None else this_time) from None

    async def _wait_as_asked(self, error: GatewayError) -> None:
        """Wait until the provider wants to be asked again, if it has said so."""
        if error.retry_after is not None:
            await self._sleep(error.retry_after)

    async def _page(self, request: DeliveriesRequest) -> DeliveriesPage:
        page = await self._source.page(request)
        await self._sleep(REQUEST_PAUSE_S)
        return page

    def _pass_over(self, request: DeliveriesRequest) -> None:
        second = request.since_us // 1_000_000
        if second not in self._skipped:
            self._skipped.add(second)
            _log.error(
                "an entry of the provider's log of webhooks cannot be fetched and is passed over:"
                " number %d of what was sent from %s on, for a second. An event in it is lost",
                request.page,
                moment_text(request.since_us),
            )


def _is_unreadable(error: GatewayError) -> bool:
    """Tell whether there was a response, which the client could not read."""
    return error.reason == UNREADABLE_ANSWER.reason


def _identified(page: DeliveriesPage, number: int) -> dict[object, Entry]:
    """Return a page's entries by what they are known by if they come again."""
    found: dict[object, Entry] = {}
    entries: tuple[Entry, ...] = (*page.deliveries, *page.unreadable)
    for index, entry in enumerate(entries):
        webhook = entry.webhook if isinstance(entry, Delivery) else b""
        found[(entry.id, webhook) if entry.id or webhook else (number, index)] = entry
    return found
