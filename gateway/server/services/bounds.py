"""Bounds: callers that are bound to connections and queues, and the commands and queries of all."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol

from gateway.callers.guard import Guard, narrowed
from gateway.callers.kinds import Kind, Kinds
from gateway.callers.scope import Scope
from gateway.conference.reader import ConferenceRef
from gateway.deadline import Deadline
from gateway.feed.frames import event_of
from gateway.feed.search import SEARCH_S, Query, Searcher
from gateway.journal.errors import LogBusyError
from gateway.journal.filter import EVERYTHING, Filter
from gateway.journal.ports import Index
from gateway.journal.reading import Asker, TimeBounds
from gateway.schema.event_keys import keys_of
from gateway.schema.rest import Safety
from gateway.server.call import Call
from gateway.upstream.bound import BoundOperation
from gateway.upstream.client import TelnyxClient
from gateway.upstream.errors import UpstreamError
from gateway.upstream.owners import RestOwners

# How many of a call's newest events are looked at for one that names its connection.
_LOOKED_AT = 16


class Bounds(Protocol):
    """What callers that are bound may ask for; others are not asked about."""

    async def admit(self, call: Call[Any], operation: BoundOperation, deadline: Deadline) -> Any:
        """Return the request that may be sent for a call. Raises the error of who may not."""

    def trim(self, call: Call[Any], operation: BoundOperation, response: Any) -> None:
        """Take out of a response what the call's caller may not see."""


class CallerBounds:
    """Bounds by the scopes of operations. `timeout_s` is how long a call has that does not say."""

    def __init__(self, guard: Guard, scopes: dict[str, Scope], timeout_s: float) -> None:
        self._guard = guard
        self._scopes = scopes
        self._timeout_s = timeout_s

    @classmethod
    def of(
        cls,
        operations: Iterable[BoundOperation],
        client: TelnyxClient,
        index: Index,
        timeout_s: float,
    ) -> "CallerBounds":
        """Return the bounds for some operations. Raises MissingKindError."""
        kinds = Kinds(index.keys)
        guard = Guard(RestOwners(client), FeedTies(index, kinds))
        return cls(guard, scopes_of(operations, kinds), timeout_s)

    async def admit(self, call: Call[Any], operation: BoundOperation, deadline: Deadline) -> Any:
        """See `Bounds`. What is wrong with a request in itself comes first, as for all callers."""
        scope = self._scopes[operation.binding.full_name]
        request = narrowed(scope, call.caller, call.message)
        operation.prepare(request)
        try:
            await self._guard.admit(scope, call.caller, request, deadline)
        except UpstreamError as error:
            raise _of_the_call(error, operation.name, operation.safety) from None
        return request

    def trim(self, call: Call[Any], operation: BoundOperation, response: Any) -> None:
        """See `Bounds`."""
        self._guard.trim(self._scopes[operation.binding.full_name], call.caller, response)

    async def admit_to_conference(
        self, call: Call[Any], ref: ConferenceRef, left_s: float | None
    ) -> None:
        """See `ConferenceGuard`."""
        deadline = Deadline.before_callers(left_s, default=self._timeout_s)
        await self._guard.admit_to_conference(call.caller, ref.conference_id, ref.region, deadline)


def scopes_of(operations: Iterable[BoundOperation], kinds: Kinds) -> dict[str, Scope]:
    """Return the scopes of operations, by the full names of their methods."""
    bindings = [it.binding for it in operations]
    return {
        it.full_name: Scope.compile(it.request_class, it.response_class, it.path.fields, kinds)
        for it in bindings
    }


class FeedTies:
    """The connections of calls, by the newest events that name both. See `CallTies`."""

    def __init__(self, index: Index, kinds: Kinds) -> None:
        self._index = index
        self._searcher = Searcher(index)
        self._call = kinds.key(Kind.CALL).name
        self._connection = kinds.number(Kind.CONNECTION)

    async def connection_of(self, call_id: str, asker: str) -> str | None:
        """See `CallTies`. Raises LogUnavailableError and LogBusyError."""
        keys = self._index.keys
        wanted = Filter.of(keys, {self._call: [call_id]})
        query = Query(wanted, EVERYTHING, TimeBounds(), _LOOKED_AT, True, None, Asker(asker))
        found, position = await self._searcher.search(query, SEARCH_S)
        for framed in found:
            connection = keys_of(event_of(framed.frame), keys)[self._connection]
            if connection:
                return connection
        if not found and position is not None:
            raise LogBusyError("no event of the call was found in the time that a search has")
        return None


def _of_the_call(error: UpstreamError, method: str, safety: Safety) -> UpstreamError:
    """Return the error of a call of which no more was done than to ask whose a conference is."""
    metadata = {**error.metadata, "method": method, "attempts": "0"}
    if safety is not Safety.READ:
        metadata["outcome"] = "not_sent"
    text = f"cannot tell whose conference this is: {error.message}"
    return replace(error, message=text, metadata=metadata)
