"""GetFeedInfo: what the log holds, how well it is known to be complete, and who says so."""

from collections.abc import Callable
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.event_service_pb2 import (
    BackfillState,
    ClockState,
    GetFeedInfoRequest,
    GetFeedInfoResponse,
    IndexInfo,
)
from gateway.clock import Moment
from gateway.feed.feed import Feed
from gateway.feed.start import of_one_log
from gateway.ingest.backfill.report import Report
from gateway.journal.ports import EventLog
from gateway.journal.reading import Asker
from gateway.journal.retention import Retention
from gateway.server.call import Call
from gateway.server.services.lags import state_of

# What tells how much there is that a caller may not see, and when the last of it came. A cursor
# does so, too: it stands for a number in the log, and no caller can do without it.
_OF_ALL_EVENTS: tuple[
    Literal[
        "event_count",
        "size_bytes",
        "oldest_sequence",
        "newest_sequence",
        "oldest_received_at",
        "newest_received_at",
        "subscribers",
    ],
    ...,
] = (
    "event_count",
    "size_bytes",
    "oldest_sequence",
    "newest_sequence",
    "oldest_received_at",
    "newest_received_at",
    "subscribers",
)
_OF_ALL_MISSED_EVENTS: tuple[
    Literal["stored_events", "unreadable_entries", "skipped_pieces", "error"], ...
] = ("stored_events", "unreadable_entries", "skipped_pieces", "error")


class FeedInfo:
    """Serves GetFeedInfo of a log, in the name of a replica; `retention` is what may be in it."""

    def __init__(
        self,
        feed: Feed,
        log: EventLog,
        replica: str,
        retention: Retention,
        backfill: Callable[[], Report],
        clock: Callable[[], Moment],
    ) -> None:
        self._feed = feed
        self._log = log
        self._replica = replica
        self._retention = retention
        self._backfill = backfill
        self._clock = clock

    async def get_feed_info(self, call: Call[GetFeedInfoRequest]) -> bytes:
        """Return what the log holds; to who may not see all of it, no more than it must know."""
        with of_one_log(self._feed.index):
            measures = await self._feed.index.measures(Asker(call.account))
        span = measures.span
        # What is at the log's end may be known before the index has it.
        newest = span.newest if self._feed.lag is None else max(span.newest, self._feed.end)
        response = GetFeedInfoResponse(
            epoch=self._feed.index.epoch.hex(),
            oldest_cursor=self._feed.cursor(span.oldest - 1),
            newest_cursor=self._feed.cursor(newest),
            oldest_sequence=span.oldest if span.count else 0,
            newest_sequence=newest,
            event_count=span.count,
            size_bytes=measures.size_bytes,
            retention_bytes=self._retention.size_bytes,
            subscribers=self._feed.subscribers,
            backend=self._log.home,
            replica=self._replica,
            durability=self._log.durability,
            index=self._index(),
        )
        response.retention_age.FromMilliseconds(round(self._retention.age_s * 1_000))
        _set(response.oldest_received_at, measures.oldest_received_at_us)
        _set(response.newest_received_at, measures.newest_received_at_us)
        self._add_backfill(response)
        clock = self._clock()
        response.clock.state = ClockState.Value(f"CLOCK_STATE_{clock.state.name}")
        if clock.ahead is not None:
            response.clock.ahead.FromMilliseconds(round(clock.ahead * 1_000))
        if not call.visible.is_everything:
            for field in _OF_ALL_EVENTS:
                response.ClearField(field)
            for of_missed in _OF_ALL_MISSED_EVENTS:
                response.backfill.ClearField(of_missed)
            if response.HasField("index"):
                response.index.CopyFrom(IndexInfo(state=response.index.state))
        return response.SerializeToString()

    def _index(self) -> IndexInfo | None:
        copying = self._log.copying
        if copying is None:
            return None
        return IndexInfo(
            state=state_of(copying.lag),
            behind_events=copying.behind,
            log_events=copying.held,
            error=copying.problem or "",
        )

    def _add_backfill(self, response: GetFeedInfoResponse) -> None:
        backfill = self._backfill()
        response.backfill.state = BackfillState.Value(f"BACKFILL_STATE_{backfill.state.name}")
        response.backfill.stored_events = backfill.stored
        response.backfill.error = backfill.error
        response.backfill.unreadable_entries = backfill.unreadable
        response.backfill.skipped_pieces = backfill.skipped
        response.backfill.holder = backfill.holder
        if backfill.complete is not None:
            _set(response.backfill.complete_since, backfill.complete.since_us)
            _set(response.backfill.complete_until, backfill.complete.until_us)
        _set(response.backfill.finished_at, backfill.finished_at_us)


def _set(target: Timestamp, moment_us: int | None) -> None:
    if moment_us is not None:
        target.FromMicroseconds(moment_us)
