"""History: stored events by page and by id, and what the log holds."""

import struct
from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp
from grpc import StatusCode

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    BackfillState,
    ClockState,
    GetEventRequest,
    GetEventResponse,
    GetFeedInfoRequest,
    GetFeedInfoResponse,
    ListEventsRequest,
    ListEventsResponse,
)
from gateway.backfill.report import Report
from gateway.clock import Moment
from gateway.errors import FieldViolation, GatewayError, Resource, invalid_argument
from gateway.events.feed import Feed
from gateway.events.frames import event_of, fitting, joined
from gateway.rpc.calls import Context
from gateway.rpc.raw import frames_with_raw
from gateway.rpc.requests import read_filter, read_page_size, read_times
from gateway.tokens import arguments_digest, seal, unseal

_KIND = b"l"
# The number of the last event of the page before, digest of the request's other fields.
_LAYOUT = struct.Struct(">Q8s")

_BEYOND_THE_NEWEST = 2**62

# The encoded size of a page, in bytes: below the 4 MiB that gRPC clients accept by default.
PAGE_BYTES_MAX = 2 * 1024 * 1024


class History:
    """Answers ListEvents, GetEvent and GetFeedInfo."""

    def __init__(
        self, feed: Feed, backfill: Callable[[], Report], clock: Callable[[], Moment]
    ) -> None:
        self._feed = feed
        self._log = feed.log
        self._backfill = backfill
        self._clock = clock

    async def list_events(self, request: ListEventsRequest, context: Context) -> bytes:
        """Return a page of stored events, already encoded."""
        violations: list[FieldViolation] = []
        wanted = read_filter(request.filter, violations)
        size = read_page_size(request.page_size, violations)
        after = _read_token(request, violations)
        if violations:
            raise invalid_argument(violations)
        # One more than the page tells whether there is another page.
        found = await self._log.page(
            wanted,
            read_times(request.received_at),
            after,
            size + 1,
            newest_first=request.newest_first,
        )
        frames = [it.frame for it in found[:size]]
        kept = fitting(frames, PAGE_BYTES_MAX)
        if request.include_raw:
            frames = await frames_with_raw(self._log, found[:kept])
            kept = fitting(frames, PAGE_BYTES_MAX)
        token = _token(request, found[kept - 1].sequence) if kept < len(found) else ""
        return joined(frames[:kept], ListEventsResponse(next_page_token=token).SerializeToString())

    async def get_event(self, request: GetEventRequest, context: Context) -> bytes:
        """Return one stored event, already encoded."""
        if not request.event_id:
            raise invalid_argument([FieldViolation("event_id", "is required")])
        stored = await self._log.find(request.event_id)
        if stored is None:
            raise GatewayError(
                StatusCode.NOT_FOUND,
                "NOT_FOUND",
                "no event with this id is held: it never came, or it is older than the retention",
                resource=Resource("event", request.event_id),
            )
        event = Event.FromString(event_of(stored.frame))
        if request.include_raw:
            event.raw_json = stored.raw
        return GetEventResponse(event=event).SerializeToString()

    async def get_feed_info(self, request: GetFeedInfoRequest, context: Context) -> bytes:
        """Return what the log holds."""
        info = await self._log.info()
        span = info.span
        response = GetFeedInfoResponse(
            epoch=self._log.epoch.hex(),
            oldest_cursor=self._feed.cursor(span.oldest - 1),
            newest_cursor=self._feed.cursor(span.newest),
            oldest_sequence=span.oldest if span.count else 0,
            newest_sequence=span.newest,
            event_count=span.count,
            size_bytes=info.size_bytes,
            retention_bytes=info.retention_bytes,
            subscribers=self._feed.subscribers,
            backend=info.backend,
        )
        backfill = self._backfill()
        response.backfill.state = BackfillState.Value(f"BACKFILL_STATE_{backfill.state.name}")
        response.backfill.stored_events = backfill.stored
        response.backfill.error = backfill.error
        response.backfill.unreadable_entries = backfill.unreadable
        response.backfill.skipped_pieces = backfill.skipped
        if backfill.complete is not None:
            _set(response.backfill.complete_since, backfill.complete.since_us)
            _set(response.backfill.complete_until, backfill.complete.until_us)
        _set(response.backfill.finished_at, backfill.finished_at_us)
        clock = self._clock()
        response.clock.state = ClockState.Value(f"CLOCK_STATE_{clock.state.name}")
        if clock.ahead is not None:
            response.clock.ahead.FromMilliseconds(round(clock.ahead * 1_000))
        response.retention_age.FromMilliseconds(round(info.retention_age_s * 1_000))
        _set(response.oldest_received_at, info.oldest_received_at_us)
        _set(response.newest_received_at, info.newest_received_at_us)
        return response.SerializeToString()


def _set(target: Timestamp, moment_us: int | None) -> None:
    if moment_us is not None:
        target.FromMicroseconds(moment_us)


def _read_token(request: ListEventsRequest, violations: list[FieldViolation]) -> int:
    if not request.page_token:
        return _BEYOND_THE_NEWEST if request.newest_first else 0
    try:
        sequence, digest = _LAYOUT.unpack(unseal(_KIND, request.page_token))
    except (ValueError, struct.error):
        violations.append(FieldViolation("page_token", "is not a token that a list response gave"))
        return 0
    if digest != arguments_digest(request):
        violations.append(
            FieldViolation("page_token", "was given for other arguments: repeat them all")
        )
    return int(sequence)


def _token(request: ListEventsRequest, sequence: int) -> str:
    return seal(_KIND, _LAYOUT.pack(sequence, arguments_digest(request)))
