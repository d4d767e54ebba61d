"""Sweeps: a span of time in the provider's delivery log, fetched and stored."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from conferencing.v1.event_pb2 import EVENT_ORIGIN_BACKFILL
from gateway.clock import CLOCKS_APART_S
from gateway.ingest.backfill.fetch import Fetcher, Reach
from gateway.ingest.backfill.reader import DeliverySource, Entry
from gateway.ingest.webhooks.body import BODY_BYTES_MAX
from gateway.ingest.webhooks.decoder import NotAnEventError, WebhookDecoder
from gateway.ingest.webhooks.receiver import WEBHOOK_PATH
from gateway.journal.errors import LogUnavailableError
from gateway.journal.ports import Journal
from gateway.records.backfill import Verdict
from gateway.upstream.deliveries import Delivery, UnreadableEntry

# Skipped entries that are remembered, so that each is logged once.
_SKIPPED_MAX = 10_000

_APART_US = round(CLOCKS_APART_S * 1e6)

_log = logging.getLogger(__name__)


class Addressees:
    """Tells which deliveries were meant for this gateway.

    An account's log holds the webhooks of all its applications. `urls` are the gateway's own
    public addresses; without any, each address that ends in the gateway's path counts.
    """

    def __init__(self, urls: Sequence[str] = ()) -> None:
        self._urls = frozenset(url.rstrip("/") for url in urls)

    def include(self, entry: Entry) -> bool:
        """Tell whether a delivery was addressed here; if nobody can tell, it was."""
        if entry.urls is None:
            return True
        if self._urls:
            return any(url.rstrip("/") in self._urls for url in entry.urls)
        return any(_path(url).endswith(WEBHOOK_PATH) for url in entry.urls)


class Sweeper:
    """Runs sweeps. `now` gives the time in seconds since 1970."""

    def __init__(
        self,
        source: DeliverySource,
        decoder: WebhookDecoder,
        journal: Journal,
        addressees: Addressees,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._fetcher = Fetcher(source, sleep)
        self._decoder = decoder
        self._journal = journal
        self._addressees = addressees
        self._now = now
        self._skipped: dict[str, None] = {}
        self._unreadable = 0

    @property
    def unreadable_entries(self) -> int:
        """How many entries of the delivery log were skipped; each is counted once."""
        return self._unreadable

    @property
    def skipped_pieces(self) -> int:
        """See `Fetcher.skipped_pieces`."""
        return self._fetcher.skipped_pieces

    async def sweep(
        self,
        since_us: int,
        reach: Callable[[], Reach],
        seen: Callable[[Verdict], None],
        done: Callable[[int], Awaitable[None]],
        *,
        failed_only: bool,
        failed_before: int = 0,
    ) -> bool:
        """Store what was first sent from a moment on and is not in the log, oldest first.

        `seen` is given what became of each delivery, `done` after each part the moment up to which
        everything is stored. Returns whether that was all, or as much as one sweep fetches. Raises
        UpstreamError or LogUnavailableError; what is stored stays. See `Fetcher.fetch`.
        """

        async def store(entries: list[Entry]) -> None:
            await self._store(entries, seen)

        return await self._fetcher.fetch(
            since_us, reach, store, done, failed_only=failed_only, failed_before=failed_before
        )

    async def _store(self, entries: Sequence[Entry], seen: Callable[[Verdict], None]) -> None:
        # A page shows the newest first, the feed has the oldest first.
        ordered = sorted(entries, key=lambda it: getattr(it, "started_at_us", 0))
        # All at once: the log stores them in a few commits.
        verdicts = await asyncio.gather(*map(self._store_one, ordered), return_exceptions=True)
        failed: list[tuple[Entry, BaseException]] = []
        for entry, verdict in zip(ordered, verdicts, strict=True):
            if isinstance(verdict, BaseException):
                failed.append((entry, verdict))
            else:
                seen(verdict)
        if failed:
            await self._store_each(failed, seen)

    async def _store_each(
        self, failed: list[tuple[Entry, BaseException]], seen: Callable[[Verdict], None]
    ) -> None:
        """Store one by one what failed together: one of them may be what the log cannot hold.

        Raises what the last of them failed with if that may be the log itself.
        """
        suspects: list[tuple[Entry, BaseException]] = []
        for entry, failure in failed:
            if not isinstance(failure, LogUnavailableError):
                raise failure
            try:
                verdict = await self._store_one(entry)
            except LogUnavailableError as error:
                suspects.append((entry, error))
                continue
            seen(verdict)
            if verdict is Verdict.STORED:
                # The log stores, so it was not the log.
                for suspect, why in suspects:
                    seen(self._unreadable_one(suspect.id, f"it cannot be stored: {why}"))
                suspects.clear()
        if suspects:
            raise suspects[-1][1]

    async def _store_one(self, entry: Entry) -> Verdict:
        if not self._addressees.include(entry):
            return Verdict.FOREIGN
        if isinstance(entry, UnreadableEntry):
            return self._unreadable_one(entry.id, "it has no readable webhook")
        if len(entry.webhook) > BODY_BYTES_MAX:
            # As for posted webhooks: no client could be sent it.
            return self._unreadable_one(entry.id, "it is too large")
        try:
            event = self._decoder.decode(
                entry.webhook, self._received_at_us(entry), EVENT_ORIGIN_BACKFILL
            )
        except NotAnEventError as error:
            return self._unreadable_one(entry.id, str(error))
        except Exception as error:
            # One webhook that this version fails to decode must not keep out all the others.
            _log.exception("delivery %r cannot be decoded", entry.id)
            return self._unreadable_one(entry.id, f"the gateway fails to decode it: {error!r}")
        appended = await self._journal.append(event)
        return Verdict.DUPLICATE if appended.duplicate else Verdict.STORED

    def _received_at_us(self, entry: Delivery) -> int:
        """Return the time now, or when it was sent if our clock is far behind that.

        What seems older than it is would be deleted too early.
        """
        now_us = round(self._now() * 1e6)
        is_behind = entry.started_at_us > now_us + _APART_US
        return entry.started_at_us if is_behind else now_us

    def _unreadable_one(self, id_: str, why: str) -> Verdict:
        # The next sweeps meet the same entry again. One without an id is logged once.
        if id_ not in self._skipped:
            self._unreadable += 1
            _log.warning("delivery %r cannot be backfilled and is skipped: %s", id_, why)
            self._skipped[id_] = None
            if len(self._skipped) > _SKIPPED_MAX:
                del self._skipped[next(iter(self._skipped))]
        return Verdict.UNREADABLE


def _path(url: str) -> str:
    try:
        return urlsplit(url).path.rstrip("/")
    except ValueError:  # no URL at all
        return ""
