"""History: stored events by page and by id, and what the log holds."""

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

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
from gateway.clock import Moment
from gateway.details import FieldViolation, Resource
from gateway.errors import GatewayError, invalid_argument
from gateway.journal.entry import StoredFrame
from gateway.feed.feed import Feed
from gateway.journal.filter import Filter
from gateway.feed.frames import event_of, fitting, joined
from gateway.journal.log import Asker, LogBusyError, Page, Stretch, TimeBounds
from gateway.ingest.backfill.report import Report
from gateway.rpc.call import Call
from gateway.rpc.filters import FilterReader
from gateway.rpc.raw import frames_with_raw
from gateway.rpc.requests import read_page_size, read_times
from gateway.tokens import TokenKind, arguments_digest, seal, unseal

_KIND = TokenKind(b"l", 1)
# The number of the last event of the page before, digest of the request's other fields.
_LAYOUT = struct.Struct(">Q8s")

# How long one page is searched for, in seconds: a person waits as long without wondering. Then it
# is given with what has been found, and with a token to go on from there.
SEARCH_S = 2.0

# How many events are looked at for one page, matching or not: a third of a second's work where they
# are in memory. It bounds what one call reads from a disk (about half a gigabyte).
SEARCHED_MAX = 1_000_000

# With a deadline, this share of the time that is left: the rest is for what has been found.
_SEARCH_SHARE = 0.5

# The encoded size of a page, in bytes: below the 4 MiB that gRPC clients accept by default.
PAGE_BYTES_MAX = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Search:
    wanted: Filter
    bounds: TimeBounds
    limit: int
    newest_first: bool
    asker: Asker


class History:
    """Answers ListEvents, GetEvent and GetFeedInfo. `now` is the monotonic clock."""

    def __init__(
        self,
        feed: Feed,
        backfill: Callable[[], Report],
        clock: Callable[[], Moment],
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._feed = feed
        self._log = feed.log
        self._filters = FilterReader(feed.keys)
        self._backfill = backfill
        self._clock = clock
        self._now = now

    async def list_events(self, call: Call[ListEventsRequest]) -> bytes:
        """Return a page of stored events, already encoded."""
        request = call.message
        violations: list[FieldViolation] = []
        wanted = self._filters.read(request.filter, violations)
        size = read_page_size(request.page_size, violations)
        token = _read_token(request, self._log.span.newest, violations)
        if violations:
            raise invalid_argument(violations)
        # One more than the page tells whether there is another page.
        search = _Search(
            wanted,
            read_times(request.received_at),
            size + 1,
            request.newest_first,
            Asker(call.peer),
        )
        found, rest = await self._search(search, token, self._search_ends_at(call))
        frames = [it.frame for it in found[:size]]
        kept = fitting(frames, PAGE_BYTES_MAX)
        if request.include_raw:
            stored = found[:kept]
            frames = await frames_with_raw(self._log, stored, PAGE_BYTES_MAX, search.asker)
            kept = len(frames)
        response = ListEventsResponse()
        if kept < len(found):
            response.next_page_token = _token(request, found[kept - 1].sequence)
        elif not rest.is_empty:
            place = rest.through + 1 if request.newest_first else rest.after
            response.next_page_token = _token(request, place)
        return joined(frames[:kept], response.SerializeToString())

    async def _search(
        self, search: "_Search", token: int | None, ends_at: float
    ) -> tuple[Sequence[StoredFrame], Stretch]:
        """Return what is found until a time, and where nobody has looked yet.

        Raises LogBusyError if no step of it could be made within the time.
        """
        found: list[StoredFrame] = []
        size = steps = 0
        try:
            async with asyncio.timeout(SEARCH_S):
                rest = first = await self._stretch(search, token)
                while not rest.is_empty and len(found) < search.limit and size <= PAGE_BYTES_MAX:
                    page = await self._step(search, rest, search.limit - len(found), steps)
                    found += page.frames
                    size += sum(len(it.frame) for it in page.frames)
                    rest, steps = page.rest, steps + 1
                    if self._now() >= ends_at or _length(first) - _length(rest) >= SEARCHED_MAX:
                        break
        except (TimeoutError, LogBusyError) as error:
            if steps == 0:
                raise _crowded(error) from None
        return found, rest

    async def _stretch(self, search: "_Search", token: int | None) -> Stretch:
        stretch = await self._log.stretch(search.bounds, search.asker)
        return stretch if token is None else _after_token(stretch, token, search.newest_first)

    async def _step(self, search: "_Search", rest: Stretch, limit: int, steps: int) -> Page:
        return await self._log.page(
            search.wanted,
            search.bounds,
            rest,
            limit,
            newest_first=search.newest_first,
            asker=search.asker._replace(turns=steps),
        )

    def _search_ends_at(self, call: Call[ListEventsRequest]) -> float:
        left = call.time_remaining()
        return self._now() + (SEARCH_S if left is None else min(left * _SEARCH_SHARE, SEARCH_S))

    async def get_event(self, call: Call[GetEventRequest]) -> bytes:
        """Return one stored event, already encoded."""
        request = call.message
        if not request.event_id:
            raise invalid_argument([FieldViolation("event_id", "is required")])
        stored = await self._log.find(request.event_id, Asker(call.peer))
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

    async def get_feed_info(self, call: Call[GetFeedInfoRequest]) -> bytes:
        """Return what the log holds."""
        info = await self._log.info(Asker(call.peer))
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


def _read_token(
    request: ListEventsRequest, newest: int, violations: list[FieldViolation]
) -> int | None:
    """Return the number that a page ended with, None without a token."""
    if not request.page_token:
        return None
    try:
        sequence, digest = _LAYOUT.unpack(unseal(_KIND, request.page_token))
    except (ValueError, struct.error):
        sequence, digest = newest + 2, b""
    # Pages end within the log, or just beyond what it held; whatever else a token says, it was
    # made by nobody or for another log.
    if sequence > newest + 1:
        violations.append(FieldViolation("page_token", "is not a token that a list response gave"))
    elif not violations and digest != arguments_digest(request):
        violations.append(
            FieldViolation("page_token", "was given for other arguments: repeat them all")
        )
    return int(sequence)


def _length(stretch: Stretch) -> int:
    return max(stretch.through - stretch.after, 0)


def _crowded(error: TimeoutError | LogBusyError) -> LogBusyError:
    if isinstance(error, LogBusyError):
        return error
    return LogBusyError(f"too many search the event log: this search did not begin in {SEARCH_S} s")


def _after_token(stretch: Stretch, token: int, newest_first: bool) -> Stretch:
    if newest_first:
        return Stretch(stretch.after, min(stretch.through, token - 1))
    return Stretch(max(stretch.after, token), stretch.through)


def _token(request: ListEventsRequest, sequence: int) -> str:
    return seal(_KIND, _LAYOUT.pack(sequence, arguments_digest(request)))
