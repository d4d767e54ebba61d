"""Stored events for the console: searched back in history, and opened one by one."""

from collections.abc import Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from starlette.datastructures import QueryParams

from conferencing.v1.event_pb2 import Event
from gateway.console.board import event_value
from gateway.feed.frames import event_of
from gateway.feed.search import SEARCH_S, Query, Searcher
from gateway.feed.start import of_one_log
from gateway.journal.errors import LogBusyError, LogUnavailableError
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.ports import Index
from gateway.journal.reading import Asker, TimeBounds
from gateway.server.http.console.gate import RefusedError

# Events in one answer.
_PAGE = 50

# Who asks, where others ask the log, too.
_ASKER = Asker("console")

# Values of one key in a filter, and the number of an event: what a page would never send.
_VALUES_MAX = 20
_SEQUENCE_MAX = 2**62


class History:
    """Reads an index for people."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._searcher = Searcher(index)

    @property
    def keys(self) -> Sequence[str]:
        """What events can be searched by."""
        return [key.name for key in self._index.keys]

    async def page(self, asked: QueryParams) -> dict[str, Any]:
        """Return the newest events that match, before the one with a number if there is one.

        Raises RefusedError.
        """
        wanted = {name: asked.getlist(name)[:_VALUES_MAX] for name in self.keys}
        before = asked.get("before", "")
        if before and not (before.isascii() and before.isdigit() and int(before) < _SEQUENCE_MAX):
            raise RefusedError(400, "INVALID_REQUEST", "before: is not the number of an event", {})
        query = Query(
            Filter.of(self._index.keys, wanted),
            EVERYTHING,
            TimeBounds(),
            _PAGE,
            newest_first=True,
            end=int(before) if before else None,
            asker=_ASKER,
        )
        try:
            with of_one_log(self._index):
                found = await self._searcher.search(query, SEARCH_S)
        except (LogBusyError, LogUnavailableError) as error:
            raise RefusedError(503, "LOG_UNAVAILABLE", str(error), {}) from None
        events = [event_value(Event.FromString(event_of(it.frame))) for it in found.framed]
        position = found.position
        if position is None and len(events) == _PAGE:
            position = events[-1]["sequence"]
        return {"events": events, "before": position}

    async def event(self, id_: str) -> dict[str, Any]:
        """Return an event with all that it says, and its raw body. Raises RefusedError."""
        try:
            stored = await self._index.find(id_, EVERYTHING, _ASKER)
        except (LogBusyError, LogUnavailableError) as error:
            raise RefusedError(503, "LOG_UNAVAILABLE", str(error), {}) from None
        if stored is None:
            raise RefusedError(404, "NOT_FOUND", "no event with this id is stored", {})
        event = MessageToDict(
            Event.FromString(event_of(stored.frame)), preserving_proto_field_name=True
        )
        return {"event": event, "raw": stored.raw.decode("utf-8", "replace")}
