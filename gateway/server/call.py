"""A call, as handlers and hooks see it. What gRPC has of it stays in the shell."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from gateway.callers.caller import UNNAMED, Caller
from gateway.journal.filter import Filter
from gateway.server.errors import GatewayError
from gateway.server.request_ids import request_id_of
from gateway.tracecontext import Span

M = TypeVar("M")

# Responses of a stream up to this size, in bytes, do not wait for room and are not counted: each
# stream has one of them on its way at a time, and the number of streams is bounded.
SMALL_RESPONSE_BYTES = 64 * 1024

Metadata: TypeAlias = Iterable[tuple[str, str | bytes]]

# What the handshake of a connection has shown, by gRPC's names: `peer_uri`, `peer_dns`, ...
AuthContext: TypeAlias = Mapping[str, Iterable[bytes]]


class Wire(Protocol):
    """What a call needs of the network; gRPC's own context has it."""

    def peer(self) -> str:
        """Who calls, as gRPC names connections (`ipv4:127.0.0.1:40000`)."""

    def time_remaining(self) -> float | None:
        """Return the seconds until the caller's deadline, None if it has none."""

    def invocation_metadata(self) -> Metadata | None:
        """Return what the caller sent beside the message."""

    def auth_context(self) -> AuthContext:
        """Return what the handshake of the connection has shown."""

    def write(self, response: bytes, /) -> Awaitable[None]:
        """Send a response; done when the next one may be sent."""


class Asked(Protocol):
    """What the provider is asked for a call."""

    @property
    def attempts(self) -> int:
        """How many requests were sent so far."""


class Outflow(Protocol):
    """Bounds on the responses that have been given to the network and not read by the client."""

    def respond(self, size: int, /) -> None:
        """Count the one response of a unary call. Raises GatewayError if there is no room."""

    async def prepare(self) -> None:
        """Wait for a turn at making a large response of a stream, which ends with `stream`.

        Or with the call.
        """

    async def stream(self, size: int, /) -> int:
        """Wait for room for a response of a stream; returns what to give back once it is taken."""

    def taken(self, size: int, /) -> None:
        """Give back what `stream` returned."""


class Unbounded:
    """An outflow without bounds."""

    def respond(self, size: int) -> None:
        """See `Outflow`."""

    async def prepare(self) -> None:
        """See `Outflow`."""

    async def stream(self, size: int) -> int:
        """See `Outflow`."""
        return 0

    def taken(self, size: int) -> None:
        """See `Outflow`."""


class Allowance(Protocol):
    """What a call may take of its caller's limits, beside beginning. It is given back at its end.

    Raises LimitExceededError where that is nothing.
    """

    def search(self) -> None:
        """Take a search of the event log."""

    def keep_filter(self, size: int, /) -> None:
        """Take room for a filter of `size` bytes."""

    def watch(self, conference: Hashable, /) -> None:
        """Take a conference that is watched; once per call."""


class Unlimited:
    """An allowance without limits."""

    def search(self) -> None:
        """See `Allowance`."""

    def keep_filter(self, size: int) -> None:
        """See `Allowance`."""

    def watch(self, conference: Hashable) -> None:
        """See `Allowance`."""


_UNBOUNDED = Unbounded()
_UNLIMITED = Unlimited()


class Call(Generic[M]):
    """One RPC: its message and what is around it.

    `method` is its full name (`package.Service/Method`), `began` the moment at which it came on the
    monotonic clock, and `granted_s` how long its caller waited for it then, None meaning for ever.
    """

    __slots__ = (
        "_is_let_go",
        "_is_prepared",
        "_let_go",
        "_message",
        "_metadata",
        "_request_id",
        "_task",
        "_wire",
        "allowance",
        "asked",
        "began",
        "caller",
        "ended_by",
        "explain_cut_off",
        "granted_s",
        "has_responded",
        "is_stream",
        "lacks_message",
        "method",
        "outflow",
        "peer",
        "received_bytes",
        "sent_bytes",
        "span",
        "stands_for",
    )

    def __init__(
        self,
        method: str,
        wire: Wire,
        began: float,
        task: "asyncio.Task[Any] | None" = None,
        is_stream: bool = False,
    ) -> None:
        self._wire = wire
        self._task = task
        self._message: M | None = None
        self._metadata: Metadata | None = None
        self._request_id = ""
        self._is_prepared = False
        self._is_let_go = False
        self._let_go: Callable[[], None] | None = None
        self.method = method
        self.peer = wire.peer()
        self.began = began
        # Who calls, which a hook finds out before any later one asks.
        self.caller: Caller = UNNAMED
        self.allowance: Allowance = _UNLIMITED
        # Whether its responses are a stream, which lasts.
        self.is_stream = is_stream
        # Its place in a trace, which a hook finds out first of all; None if it has none.
        self.span: Span | None = None
        self.granted_s = wire.time_remaining()
        self.outflow: Outflow = _UNBOUNDED
        # Whether it has been ended because its message had not come.
        self.lacks_message = False
        # Whether a response has gone out.
        self.has_responded = False
        # What its messages take, without what is around them.
        self.received_bytes = 0
        self.sent_bytes = 0
        # What the provider is asked for it, None if it is not asked.
        self.asked: Asked | None = None
        # What the status says if a shutdown cuts the call off, called when its handler has ended.
        # None: that the call had no effect. Whoever has one sets this before.
        self.explain_cut_off: Callable[[], GatewayError] | None = None
        # How many calls it counts as for its connection: of some kinds not every call is met.
        self.stands_for = 1
        # Why the gateway has ended the call itself.
        self.ended_by: Callable[[], GatewayError] | None = None

    @property
    def message(self) -> M:
        """The request. Gone after `release_message`."""
        assert self._message is not None
        return self._message

    @message.setter
    def message(self, message: M) -> None:
        self._message = message

    @property
    def metadata(self) -> Metadata:
        """What the caller sent beside the message, in its order."""
        if self._metadata is None:
            self._metadata = self._wire.invocation_metadata() or ()
        return self._metadata

    @property
    def request_id(self) -> str:
        """The id that its caller has given it, or that it was given here."""
        if not self._request_id:
            self._request_id = request_id_of(self.metadata)
        return self._request_id

    def connection(self) -> AuthContext:
        """Return what its connection's handshake has shown, above all the client's certificate."""
        return self._wire.auth_context()

    @property
    def visible(self) -> Filter:
        """Which events its caller may see."""
        return self.caller.visible

    @property
    def account(self) -> str:
        """Whom the call counts for where callers take turns.

        Its caller by name, over whatever connections; where callers have no names, its connection.
        """
        return self.caller.name or self.peer

    def release_message(self) -> None:
        """Give up the request, which would be held for as long as a stream is open."""
        self._message = None

    def when_let_go(self, let_go: Callable[[], None]) -> None:
        """Have `let_go` called when the call is to end by itself, at once if it is already."""
        self._let_go = let_go
        if self._is_let_go:
            let_go()

    def let_go(self) -> None:
        """Ask the call to end by itself. A call that is no stream does so anyway."""
        self._is_let_go = True
        if self._let_go is not None:
            self._let_go()

    def time_remaining(self) -> float | None:
        """Return the seconds until the caller's deadline, None if it has none."""
        return self._wire.time_remaining()

    async def prepare(self) -> None:
        """Wait until a large response of a stream may be made; the next `write` is to send it.

        Who reads or encodes much for a response waits here before, and not in `write` with what it
        has made: while a client does not read, its streams are to hold nothing but their places.
        """
        await self.outflow.prepare()
        self._is_prepared = True

    def write(self, response: bytes) -> Awaitable[None]:
        """Send a response of a stream; done when the next one may be sent.

        The first one always goes the long way: only what has really gone out is a response.
        """
        self.sent_bytes += len(response)
        is_small = len(response) <= SMALL_RESPONSE_BYTES
        if is_small and self.has_responded and not self._is_prepared:
            return self._wire.write(response)
        return self._write(response)

    def end(self, why: Callable[[], GatewayError]) -> None:
        """End the call with a status of the gateway's own, made when its handler has ended."""
        if self._task is not None:
            self.ended_by = why
            self._task.cancel()

    async def _write(self, response: bytes) -> None:
        size = 0
        if self._is_prepared or len(response) > SMALL_RESPONSE_BYTES:
            self._is_prepared = False
            size = await self.outflow.stream(len(response))
        try:
            await self._wire.write(response)
            self.has_responded = True
        finally:
            self.outflow.taken(size)
