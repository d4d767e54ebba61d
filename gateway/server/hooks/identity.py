"""Identity: each call gets its caller or is refused, and streams end when their callers do."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from time import time
from typing import Any, TypeAlias

from grpc import StatusCode

from gateway.callers.caller import Caller, Role
from gateway.callers.callers import Callers, Identified
from gateway.callers.errors import UnidentifiedError
from gateway.records.calls import OTHER, CallEnded
from gateway.schema.access import Access
from gateway.server.call import AuthContext, Call, Metadata
from gateway.server.credentials import credentials_of
from gateway.server.errors import GatewayError
from gateway.server.hooks.hook import Hook
from gateway.server.statuses import error_of

# When to open a stream again that was ended because what its caller may see has changed, in
# seconds: at once.
_REOPEN_S = 0.1

EndUnidentified: TypeAlias = Callable[[UnidentifiedError], None]


class Identity(Hook):
    """A hook that finds out who calls, and refuses who is unknown or must not call the method.

    `access` says who may call each method, by its full name; nobody may call others.
    `now` is the wall clock, by which tokens expire.
    """

    def __init__(
        self, callers: Callers, access: Mapping[str, Access], now: Callable[[], float] = time
    ) -> None:
        self._callers = callers
        self._now = now
        self._access = access
        # Streams that are open, and those of what any caller may call, by what ends each.
        self._open: dict[Call[Any], Identified] = {}
        self._beside: dict[EndUnidentified, Identified] = {}
        # The version of the callers that they were last looked up in.
        self._version = callers.version

    @property
    def streams(self) -> int:
        """How many streams of known callers are open."""
        return len(self._open) + len(self._beside)

    def on_start(self, call: Call[Any]) -> Awaitable[None] | None:
        """See `Hook`."""
        found = self.caller_of(call.metadata, call.connection)
        if not isinstance(found, Identified):
            return self._begin_when_known(call, found)
        self._begin(call, found)
        return None

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """See `Hook`."""
        self._open.pop(call, None)

    def caller_of(
        self, metadata: Metadata, connection: Callable[[], AuthContext]
    ) -> Identified | Awaitable[Identified]:
        """Return who calls, or what that can be awaited of; see `Callers.identify`."""
        return self._callers.identify(credentials_of(metadata, connection))

    @contextmanager
    def kept(self, identified: Identified, end: EndUnidentified) -> Iterator[None]:
        """Watch over a stream that any caller may open: `end` ends it when its own is none now."""
        self._beside[end] = identified
        try:
            yield
        finally:
            self._beside.pop(end, None)

    def end_revoked(self) -> None:
        """End streams whose callers have lost what they were opened by, or see something else now.

        So does a token that has expired: its issuer has vouched for its holder until then.

        Calls with one response go on: they were allowed when they began, take seconds, and what a
        command has done would be unknown.
        """
        changed = self._version != self._callers.version
        self._version, now = self._callers.version, self._now()
        for call, identified in tuple(self._open.items()):
            if not changed and identified.expires_at > now:
                continue
            error = self._judge(call, identified)
            if error is not None:
                del self._open[call]
                _end(call, error)
        for end, identified in tuple(self._beside.items()):
            if not changed and identified.expires_at > now:
                continue
            try:
                self._callers.again(identified)
            except UnidentifiedError as unidentified:
                del self._beside[end]
                end(unidentified)

    def _begin(self, call: Call[Any], found: Identified) -> None:
        call.caller = found.caller
        if call.method == OTHER:
            return  # It does nothing but say so, which those who are unknown need not hear.
        access = self._access[call.method]
        _check_role(found.caller, access, call.method)
        if access.is_stream:
            self._open[call] = found

    async def _begin_when_known(self, call: Call[Any], found: Awaitable[Identified]) -> None:
        self._begin(call, await found)

    def _judge(self, call: Call[Any], identified: Identified) -> GatewayError | None:
        """Return what ends a stream, None if it may go on."""
        try:
            caller = self._callers.again(identified)
            _check_role(caller, self._access[call.method], call.method)
        except (GatewayError, UnidentifiedError) as error:
            return error_of(error, call.method)
        if _is_same(caller, call.caller):
            call.caller = caller
            return None
        return GatewayError(
            StatusCode.UNAVAILABLE,
            "CALLER_CHANGED",
            "the gateway's operator has changed what this caller is or may see: open the stream"
            " again, after the last cursor",
            retry_after=_REOPEN_S,
        )


def _end(call: Call[Any], error: GatewayError) -> None:
    call.end(lambda: error)


def _is_same(caller: Caller, before: Caller) -> bool:
    """Tell whether a stream that has been opened by one is as it would be for the other."""
    return (
        caller.name == before.name
        and caller.visible == before.visible
        and caller.connections == before.connections
        and caller.queues == before.queues
    )


def _check_role(caller: Caller, access: Access, method: str) -> None:
    """Raise GatewayError if a caller must not call a method."""
    if caller.role >= access.role:
        return
    has, needs = caller.role.name.lower(), Role(access.role).name.lower()
    raise GatewayError(
        StatusCode.PERMISSION_DENIED,
        "ROLE_INSUFFICIENT",
        f"{method} needs the role {needs}, and this caller has the role {has}",
        {"method": method, "role": has, "required_role": needs},
        refusal="ROLE_INSUFFICIENT",
    )
