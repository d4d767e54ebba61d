"""ListEvents and GetEvent: stored events by page and by id."""

import struct
from collections.abc import Callable
from time import monotonic

from grpc import StatusCode

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    GetEventRequest,
    GetEventResponse,
    ListEventsRequest,
    ListEventsResponse,
)
from gateway.details import FieldViolation, Resource
from gateway.feed.frames import event_of, fitting, joined
from gateway.feed.raw import framed_with_raw
from gateway.feed.search import PAGE_BYTES_MAX, SEARCH_S, Query, Searcher
from gateway.feed.start import of_one_log
from gateway.journal.lag import Lag
from gateway.journal.ports import Index
from gateway.journal.reading import Asker
from gateway.server.call import Call
from gateway.server.errors import GatewayError, invalid_argument
from gateway.server.services.filters import FilterReader
from gateway.server.services.requests import read_page_size, read_times
from gateway.tokens import TokenKind, arguments_digest, seal, unseal

_KIND = TokenKind(b"l", 2)
# The log's epoch, the number of the last event of the page before, digest of the request's other
# fields.
_LAYOUT = struct.Struct(">8sQ8s")

# With a deadline, this share of the time that is left: the rest is for what has been found.
SEARCH_SHARE = 0.5


class StoredEvents:
    """Serves ListEvents and GetEvent. `now` is the monotonic clock, `lag` that of the index."""

    def __init__(
        self,
        index: Index,
        now: Callable[[], float] = monotonic,
        lag: Callable[[], Lag | None] = lambda: None,
    ) -> None:
        self._index = index
        self._lag = lag
        self._searcher = Searcher(index, now)
        self._filters = FilterReader(index.keys)

    async def list_events(self, call: Call[ListEventsRequest]) -> bytes:
        """Return a page of stored events, already encoded."""
        request = call.message
        if (lag := self._lag()) is not None and lag.is_filling:
            # A list would seem to end where the index does.
            raise lag.not_there_yet()
        violations: list[FieldViolation] = []
        wanted = self._filters.read(request.filter, violations)
        size = read_page_size(request.page_size, violations)
        index = self._index
        epoch = index.epoch
        end = _read_token(request, epoch, index.span.newest, violations)
        if violations:
            raise invalid_argument(violations)
        call.allowance.search()
        query = Query(
            wanted,
            call.visible,
            read_times(request.received_at),
            size + 1,  # one more than the page tells whether there is another page
            request.newest_first,
            end,
            Asker(call.account),
        )
        left = call.time_remaining()
        seconds = SEARCH_S if left is None else left * SEARCH_SHARE
        with of_one_log(index, epoch):
            found, position = await self._searcher.search(query, seconds)
            page = found[: fitting([it.frame for it in found[:size]], PAGE_BYTES_MAX)]
            if request.include_raw:
                page = await framed_with_raw(index, page, PAGE_BYTES_MAX, query.asker)
        response = ListEventsResponse()
        if len(page) < len(found):
            position = page[-1].sequence
        if position is not None:
            response.next_page_token = _token(request, epoch, position)
        return joined([it.frame for it in page], response.SerializeToString())

    async def get_event(self, call: Call[GetEventRequest]) -> bytes:
        """Return one stored event, already encoded."""
        request = call.message
        if not request.event_id:
            raise invalid_argument([FieldViolation("event_id", "is required")])
        stored = await self._index.find(request.event_id, call.visible, Asker(call.account))
        if stored is None and (lag := self._lag()) is not None:
            raise lag.not_there_yet()
        if stored is None:
            raise GatewayError(
                StatusCode.NOT_FOUND,
                "NOT_FOUND",
                "no event with this id is stored: it never arrived, or retention has deleted it",
                resource=Resource("event", request.event_id),
            )
        event = Event.FromString(event_of(stored.frame))
        if request.include_raw:
            event.raw_json = stored.raw
        return GetEventResponse(event=event).SerializeToString()


def _read_token(
    request: ListEventsRequest, epoch: bytes, newest: int, violations: list[FieldViolation]
) -> int | None:
    """Return the number that a page ended with, None without a token."""
    if not request.page_token:
        return None
    try:
        of, sequence, digest = _LAYOUT.unpack(unseal(_KIND, request.page_token))
    except (ValueError, struct.error):
        of, sequence, digest = epoch, newest + 2, b""
    if of != epoch:
        violations.append(
            FieldViolation("page_token", "is of an event log that is not here any more: begin anew")
        )
    # Pages end within the log, or just beyond what it held; whatever else a token says, it was
    # made by nobody.
    elif sequence > newest + 1:
        violations.append(FieldViolation("page_token", "is not a token from a list response"))
    elif not violations and digest != arguments_digest(request):
        violations.append(
            FieldViolation("page_token", "belongs to other arguments: repeat all of them")
        )
    return int(sequence)


def _token(request: ListEventsRequest, epoch: bytes, sequence: int) -> str:
    return seal(_KIND, _LAYOUT.pack(epoch, sequence, arguments_digest(request)))
