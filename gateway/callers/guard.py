"""The guard: lets through what callers that are bound to connections and queues may ask for."""

from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from gateway.callers.caller import Caller
from gateway.callers.kinds import Kind
from gateway.callers.refusals import (
    CallNotTiedError,
    ConnectionNotNamedError,
    MethodNotScopedError,
    NoSuchConferenceError,
    QueueNotGrantedError,
    TooManyCallsError,
)
from gateway.callers.remembered import Remembered
from gateway.callers.scope import Scope
from gateway.deadline import Deadline

# How many conferences and calls are remembered with their connections, each: more than there are at
# one time in an account, and a few megabytes.
REMEMBERED_MAX = 10_000

# The most calls that one request may name: more than a conference may have.
CALLS_MAX = 1_000

M = TypeVar("M", bound=Message)


class ConferenceOwners(Protocol):
    """The provider's word on whose a conference is."""

    async def connection_of(
        self, conference_id: str, region: int, deadline: Deadline
    ) -> str | None:
        """Return the id of a conference's connection, None if there is no such conference.

        What it raises is passed on.
        """


class CallTies(Protocol):
    """What the feed knows of the connections of calls."""

    async def connection_of(self, call_id: str, asker: str) -> str | None:
        """Return the connection that the newest event of a call names, None if none does.

        `asker` is the name of the caller that wants to know. What it raises is passed on.
        """


class Guard:
    """Knows what is whose, and remembers it. The connection of a conference or call never changes.

    Only what was let through spares a question: a refusal is found out anew each time, so that it
    takes as long for what belongs to others as for what does not exist.
    """

    def __init__(self, owners: ConferenceOwners, ties: CallTies) -> None:
        self._owners = owners
        self._ties = ties
        self._conferences = Remembered(REMEMBERED_MAX)
        self._calls = Remembered(REMEMBERED_MAX)

    async def admit(
        self, scope: Scope, caller: Caller, request: Message, deadline: Deadline
    ) -> None:
        """Let a request of a bound caller through, as `narrowed` has made it.

        Raises OutOfBoundsError, and what its sources raise.
        """
        if not scope.is_known:
            raise MethodNotScopedError
        for _, name in scope.named(request, scope.queues):
            if not caller.may_touch(name):
                raise QueueNotGrantedError(name)
        listing = scope.listing
        if listing is not None and listing.kind is Kind.QUEUE and not caller.has_queues:
            raise QueueNotGrantedError
        if caller.connections is None:
            return
        region = getattr(request, "region", 0) if scope.has_region else 0
        for _, conference_id in scope.named(request, scope.conferences):
            await self.admit_to_conference(caller, conference_id, region, deadline)
        await self._admit_to_calls(scope, caller, request)

    async def admit_to_conference(
        self, caller: Caller, conference_id: str, region: int, deadline: Deadline
    ) -> None:
        """Raise NoSuchConferenceError if a caller may not see and command a conference.

        Whatever the caller has of a conference it has by the conference's own connection, which is
        that of the call that created it. Events name the connections of participants, too, so the
        provider is asked. Raises what the source raises.
        """
        if caller.connections is None:
            return
        known = self._conferences.get(conference_id)
        if known is not None and known in caller.connections:
            return
        found = await self._owners.connection_of(conference_id, region, deadline)
        if not found or found not in caller.connections:
            raise NoSuchConferenceError(conference_id)
        self._conferences.put(conference_id, found)

    def trim(self, scope: Scope, caller: Caller, response: Any) -> None:
        """Take out of a list what its caller may not see, and what tells how much that is."""
        listing = scope.listing
        if listing is None:
            return
        allowed = caller.queues if listing.kind is Kind.QUEUE else caller.connections
        if allowed is None:
            return
        # The provider counts all queues of the account, and so it would whatever else it did not
        # choose by what it was asked for: nobody has counted what is left.
        if listing.keep(response, allowed) or listing.kind is Kind.QUEUE:
            response.total_size = 0

    async def _admit_to_calls(self, scope: Scope, caller: Caller, request: Any) -> None:
        assert caller.connections is not None
        named = dict.fromkeys(scope.named(request, scope.calls))
        if len(named) > CALLS_MAX:
            raise TooManyCallsError(len(named), CALLS_MAX)
        for field, call_id in named:
            known = self._calls.get(call_id)
            if known is not None and known in caller.connections:
                continue
            found = await self._ties.connection_of(call_id, caller.name)
            if not found or found not in caller.connections:
                raise CallNotTiedError(field, call_id)
            self._calls.put(call_id, found)


def narrowed(scope: Scope, caller: Caller, request: M) -> M:
    """Return the request for that part of a list which its caller may see.

    Raises ConnectionNotNamedError if the caller has to say which part it wants.
    """
    listing = scope.listing
    if listing is None or listing.kind is not Kind.CONNECTION or caller.connections is None:
        return request
    chosen = listing.chosen(request)
    if chosen in caller.connections:
        return request
    if chosen or len(caller.connections) != 1:
        raise ConnectionNotNamedError(".".join(listing.chosen_by))
    (connection,) = caller.connections
    return listing.choose(request, connection)
