"""Fetching: a stretch of the provider's delivery log, complete, in pieces that can be read.

What the provider cannot return in one response (it is larger than a transport accepts, or fails
each time) is requested in ever smaller pieces, down to one entry. A piece that stays unreadable
sweep after sweep is skipped, so that it does not keep out all that follows; but only while the
provider responds to other requests. If it responds to none, the sweep is retried later.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple

from gateway.ingest.backfill.reader import DeliveryLogReader, DeliverySource, entries_of
from gateway.ingest.backfill.span import PAGES_ABSURD, DeliverySpan, Store, log_absurd
from gateway.upstream.deliveries import DeliveriesRequest, moment_text
from gateway.upstream.errors import Reason, UpstreamError

# The longest span that may have entries, and the shortest, in microseconds. The provider's
# timestamps are not finer than the shortest is long. Empty spans grow further: years of nothing
# take a score of requests.
SPAN_MAX_US = 3_600_000_000
SPAN_MIN_US = 1_000_000

# The most requests of a sweep, after which it ends and the next one continues: a quarter of an
# hour, and 250,000 webhooks. A log without an end must not keep a sweep running for ever. (The span
# that is being read then is read to its end: at most 4 * PAGES_ABSURD more.)
SWEEP_REQUESTS_MAX = 5_000

# Entries in a row that are skipped one by one; after so many, the rest of the second is.
_SKIPPED_MAX = 20

# Skipped seconds of the log that are remembered, so that each is logged once.
_REMEMBERED_MAX = 10_000

# Sweeps in a row that must fail before anything is skipped: with the pauses between them, seconds
# for what cannot be decoded, and five minutes for what the provider itself reports as a failure.
UNREADABLE_SWEEPS = 3
FAILED_SWEEPS = 10

_log = logging.getLogger(__name__)


class Reach(NamedTuple):
    """What to fetch, by what is known of the time now, in microseconds since 1970."""

    # What was sent before is beyond retention.
    since_us: int
    # Nothing is added any more before this; what is after it will be fetched again.
    settled_us: int
    # Beyond this there is nothing yet, unless the best guess of the time is wrong.
    likely_us: int
    until_us: int


class Fetcher:
    """Fetches a stretch of the provider's delivery log, span by span, oldest first."""

    def __init__(self, source: DeliverySource, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._reader = DeliveryLogReader(source, sleep)
        # Seconds of the log (since 1970) in which something has been skipped.
        self._skipped: dict[int, None] = {}
        self._skipped_pieces = 0

    @property
    def skipped_pieces(self) -> int:
        """How many pieces, of up to a second, have been skipped; each is counted once."""
        return self._skipped_pieces

    async def fetch(
        self,
        since_us: int,
        reach: Callable[[], Reach],
        store: Store,
        done: Callable[[int], Awaitable[None]],
        *,
        failed_only: bool,
        failed_before: int,
    ) -> bool:
        """Store everything from a moment on; return whether that was all of it.

        It is not all after `SWEEP_REQUESTS_MAX` requests. `store` is given each page, `done` the
        moment up to which everything has been stored. `failed_before` is how many sweeps have
        failed since the last that did not. Raises UpstreamError.
        """
        span_us, was_cut, until_us = SPAN_MAX_US, False, reach().until_us
        ends_at = self._reader.requests + SWEEP_REQUESTS_MAX
        while True:
            # A clock may have been found wrong since the last span, or set. The end may only become
            # earlier: a sweep that followed the time would never reach it.
            now = reach()
            until_us = min(until_us, now.until_us)
            since_us = max(since_us, now.since_us)
            if since_us >= until_us:
                return True
            # What has been cut is read first: each round reads a span at least.
            if self._reader.requests >= ends_at and not was_cut:
                return False
            if since_us >= now.likely_us and not was_cut and not failed_before:
                span_us = until_us - since_us
            end_us = min(since_us + span_us, until_us)
            request = DeliveriesRequest(since_us, end_us, failed_only=failed_only)
            is_settled = not since_us < now.settled_us < end_us
            rows = await self._rows(request, store, failed_before, is_settled=is_settled)
            if rows is None:
                was_cut = True
                span_us = max((end_us - since_us) // 2, SPAN_MIN_US)
                if not is_settled:
                    span_us = min(span_us, now.settled_us - since_us)
                continue
            await done(end_us)
            since_us, was_cut = end_us, False
            span_us = max(span_us, SPAN_MIN_US) * 2
            if rows or failed_before:
                # The provider may fail because too much is requested at a time.
                span_us = min(span_us, SPAN_MAX_US)

    async def _rows(
        self, request: DeliveriesRequest, store: Store, failed_before: int, *, is_settled: bool
    ) -> int | None:
        """Store a span; return how many rows there were, None if it has to be cut."""
        can_be_cut = request.until_us - request.since_us > SPAN_MIN_US
        span = DeliverySpan(self._reader, request, can_be_cut=can_be_cut, is_settled=is_settled)
        try:
            return await span.read(store)
        except UpstreamError as error:
            is_unreadable = error.reason is Reason.UPSTREAM_UNREADABLE_RESPONSE
            gives_up = failed_before >= (UNREADABLE_SWEEPS if is_unreadable else FAILED_SWEEPS)
            if not gives_up and not (can_be_cut and is_unreadable):
                raise
            await self._reader.check_availability(error)
        return None if can_be_cut else await self._one_by_one(request, store)

    async def _one_by_one(self, request: DeliveriesRequest, store: Store) -> int:
        """Store what can be read of a span that cannot be cut further, and skip the rest."""
        request = replace(request, size=1)
        rows, skipped, pages = 0, 0, request.page
        while skipped < _SKIPPED_MAX and request.page <= pages:
            page = await self._reader.page_or_none(request)
            if page is None:
                skipped += 1
                pages = max(pages, request.page + 1)
                self._skip(request)
            elif page.rows:
                rows, skipped = rows + page.rows, 0
                pages = request.page + 1 if page.pages is None else page.pages
                await store(entries_of(page))
            else:
                break
            if request.page >= PAGES_ABSURD:
                log_absurd()
                break
            request = replace(request, page=request.page + 1)
        return rows

    def _skip(self, request: DeliveriesRequest) -> None:
        second = request.since_us // 1_000_000
        if second in self._skipped:
            return
        self._skipped[second] = None
        if len(self._skipped) > _REMEMBERED_MAX:
            del self._skipped[next(iter(self._skipped))]
        self._skipped_pieces += 1
        _log.error(
            "an entry of the provider's delivery log cannot be fetched and is skipped: number %d"
            " within the second from %s. Its event is lost",
            request.page,
            moment_text(request.since_us),
        )
