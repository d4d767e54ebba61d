"""What each connection may have in progress at a time, so that none takes the gateway from others.

A connection stands for its caller until callers have names.
"""

import asyncio
import math
from collections.abc import Callable
from time import monotonic

from grpc import StatusCode

from gateway.bytebudget import ByteBudget
from gateway.server.call import SMALL_RESPONSE_BYTES
from gateway.server.errors import GatewayError
from gateway.tokenbucket import TokenBucket

# Calls of a connection in progress, streams among them. A service that follows a thousand
# conferences over one connection is large; a call holds some 20 to 70 KB until it has ended.
CALLS_PER_CONNECTION_MAX = 1_000

# Calls of all connections in progress: twice the subscribers measured to come back at once.
CALLS_MAX = 10_000

# Bytes of responses of a connection that its client has not taken: twice 16 of the largest pages.
UNREAD_PER_CONNECTION_MAX = 32 * 1024 * 1024

# Of these, what its streams have in large batches. The rest of what they have to say is in the log.
STREAMED_PER_CONNECTION_MAX = 8 * 1024 * 1024

# Streams of a connection that make a large response at one time, or have made one that waits for
# room: as many as there is room for of the largest batches (1 MiB), and twice the threads that read
# for streams. The others wait with nothing in their hands.
MAKING_PER_CONNECTION_MAX = 8

# Responses up to this size, in bytes, are never refused: the responses of commands must arrive.
_SMALL = SMALL_RESPONSE_BYTES
# And up to this size they are not counted: their number is bounded, and commands are quick.
_TINY = 4 * 1024

# Calls of a connection that may be given up within a second, beyond those that were waited for:
# half of what it may have in progress, at once, and then so many a second. Each costs the gateway
# what a call costs, and its client nothing (CVE-2023-44487).
GIVEN_UP_MAX = 500
GIVEN_UP_PER_S = 100
GIVEN_UP_WITHIN_S = 1.0

# A call given up before its message has come counts as so many: libraries send both at once.
_WITHOUT_MESSAGE = 5

# Calls that a connection has given up of late for its next ones to be looked at before they begin.
SUSPECTED = 50

# When to retry after a refusal, in seconds: other calls take milliseconds.
RETRY_S = 0.5

# How long a connection may read nothing while its streams wait for room before that is recorded,
# in seconds. Clients that read wait for milliseconds.
STALLED_S = 2.0

# The refusal of what finds no room because its client does not read.
RESPONSES_NOT_READ = "RESPONSES_NOT_READ"


class Peer:
    """A connection's calls and the bytes it has not taken."""

    __slots__ = (
        "_room",
        "calls",
        "name",
        "patience",
        "requests",
        "turns",
        "unread",
        "waiting_since",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0
        # What the requests of late explain of the bytes that have come, see `explained`.
        self.requests = 0
        # Bytes of responses that wait to be taken.
        self.unread = 0
        # What is left of the calls that it may give up; None before it has given up any.
        self.patience: TokenBucket | None = None
        # Since when nothing has been taken while streams wait for room; None while none waits.
        self.waiting_since: float | None = None
        # The turns of its streams at making a large response.
        self.turns = asyncio.Semaphore(MAKING_PER_CONNECTION_MAX)
        self._room: asyncio.Event | None = None

    async def room(self) -> None:
        """Return when the client has taken something."""
        if self._room is None:
            self._room = asyncio.Event()
        await self._room.wait()

    def made_room(self) -> None:
        """Wake those who wait for room."""
        self.waiting_since = None
        if self._room is not None:
            self._room.set()
            self._room = None


class Peers:
    """Admits calls, or refuses them in words.

    `on_flood`, if set, is given the peer of each connection that gives up too many, and what it
    does (see `Refused.kind`). `budget` is what all buffers of the process share. `now` is the
    monotonic clock, in seconds.
    """

    def __init__(
        self,
        budget: ByteBudget,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._budget = budget
        self.on_flood: Callable[[str, str], None] | None = None
        self._now = now
        self._peers: dict[str, Peer] = {}
        self._calls = 0

    def __len__(self) -> int:
        return len(self._peers)

    def admit(self, name: str) -> Peer:
        """Count a call that begins. Raises GatewayError if there are too many."""
        peer = self._peer(name)
        if peer.calls >= CALLS_PER_CONNECTION_MAX:
            raise _refused(
                "TOO_MANY_CALLS_ON_CONNECTION",
                f"{peer.calls} calls are in progress on this connection, the maximum: "
                "wait for some to end, or open another connection",
            )
        if self._calls >= CALLS_MAX:
            text = f"{self._calls} calls are in progress, the maximum"
            raise _refused("TOO_MANY_CALLS", text)
        if peer.unread > UNREAD_PER_CONNECTION_MAX:
            raise _refused(
                RESPONSES_NOT_READ,
                f"{peer.unread} bytes of unread responses are on this connection, the maximum: read"
                " them",
            )
        peer.calls += 1
        self._calls += 1
        return peer

    def ended(self, peer: Peer, *, given_up: int, silent: bool = False) -> None:
        """Take note of the end of a call that was admitted.

        `given_up` is how many calls that nobody waited for it counts as, and `silent` says that it
        had no message.
        """
        peer.calls -= 1
        self._calls -= 1
        if given_up or silent:
            self._given_up(peer, max(given_up, _WITHOUT_MESSAGE if silent else 1))
        elif peer.patience is not None:
            peer.patience.give_back(1)

    def gave_up(self, name: str) -> None:
        """Take note of a call that its client has given up before it was admitted."""
        self._given_up(self._peer(name), 1)

    def gives_up(self, name: str) -> bool:
        """Tell whether a connection has given up some calls of late."""
        peer = self._peers.get(name)
        if peer is None or peer.patience is None:
            return False
        return peer.patience.held < GIVEN_UP_MAX - SUSPECTED

    def explained(self, name: str) -> int:
        """Return how many bytes a connection may well have sent since this was asked before."""
        peer = self._peers.get(name)
        if peer is None:
            return 0
        requests, peer.requests = peer.requests, 0
        return requests

    def forget_idle(self) -> None:
        """Forget connections without calls, except those that lately gave up many."""
        for peer in tuple(self._peers.values()):
            if not peer.calls and (peer.patience is None or peer.patience.held >= GIVEN_UP_MAX):
                del self._peers[peer.name]

    def stalled(self) -> list[str]:
        """Return the connections that read nothing while their streams wait, each once."""
        late = self._now() - STALLED_S
        found: list[str] = []
        for peer in self._peers.values():
            if peer.waiting_since is not None and peer.waiting_since <= late:
                # Not again before something has been taken.
                peer.waiting_since = math.inf
                found.append(peer.name)
        return found

    def respond(self, peer: Peer, size: int) -> int:
        """Count a response of `size` bytes; returns what to give back when it has been taken.

        Raises GatewayError if there is no room for it.
        """
        if size <= _TINY:
            return 0
        if size <= _SMALL:
            self._budget.take(size)
        elif peer.unread + size > UNREAD_PER_CONNECTION_MAX:
            raise _no_room(RESPONSES_NOT_READ, peer, size)
        elif not self._budget.try_take(size):
            raise _no_room("BUFFERS_FULL", peer, size)
        peer.unread += size
        return size

    async def stream(self, peer: Peer, size: int) -> int:
        """Like `respond` for a part of a stream, which waits for room and is never refused.

        A connection that has taken everything always has room for one: it must not wait for others
        that have stopped reading.
        """
        if size <= _SMALL:
            return 0
        budget = self._budget
        while peer.unread and (
            peer.unread + size > STREAMED_PER_CONNECTION_MAX or budget.held + size > budget.limit
        ):
            if peer.waiting_since is None:
                peer.waiting_since = self._now()
            await peer.room()
        budget.take(size)
        peer.unread += size
        return size

    def taken(self, peer: Peer, size: int) -> None:
        """Give back what a client has taken, or will never take."""
        if size:
            self._budget.give_back(size)
            peer.unread -= size
            peer.made_room()

    def _peer(self, name: str) -> Peer:
        peer = self._peers.get(name)
        if peer is None:
            peer = self._peers[name] = Peer(name)
        return peer

    def _given_up(self, peer: Peer, count: int) -> None:
        if peer.patience is None:
            peer.patience = TokenBucket(GIVEN_UP_PER_S, GIVEN_UP_MAX, self._now)
        peer.patience.spend(count)
        if peer.patience.held < 0:
            peer.patience = None
            if self.on_flood is not None:
                self.on_flood(peer.name, "CALLS_GIVEN_UP")


def _no_room(refusal: str, peer: Peer, size: int) -> GatewayError:
    return _refused(
        refusal,
        f"the response has {size} bytes, and {peer.unread} bytes of unread responses are on this"
        " connection: read them, or request less",
    )


def _refused(refusal: str, text: str) -> GatewayError:
    return GatewayError(
        StatusCode.RESOURCE_EXHAUSTED,
        "GATEWAY_OVERLOADED",
        text,
        retry_after=RETRY_S,
        refusal=refusal,
    )
