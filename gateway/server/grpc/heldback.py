"""Searches of one connection beyond some wait until the calls of other connections are taken up.

gRPC keeps one queue of calls for each method, and hands over one after the other, whoever sent it.
So a call comes the later, the more is done for each of those before it. Of a thousand that one
connection has sent in one go nearly nothing is done before no more come: then they begin a few at a
time, and who comes meanwhile goes first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, TypeAlias

from gateway.server.grpc.sockets import UNIX_PEER

# Calls of a connection that begin as they come. Further ones begin as these end, so that a client
# that waits for responses always has so many in progress: more than keep the gateway busy. While
# one of them is served three others could come (0.6 ms, 0.2 ms).
AT_ONCE = 8

# A flood: FLOOD_PER_S calls come in a second, more than the gateway serves, and a connection that
# sends FLOOD_SHARE of them has FLOOD_HELD held. Then none of these begins as another ends: what
# comes behind the flood waits for all of it to come, and is not to wait for any of it to be served.
FLOOD_PER_S = 1_600
FLOOD_SHARE = 1 / 8
FLOOD_HELD = 100

# For how long at the most, in seconds: by then all that gRPC's queue holds has come. A client that
# never ceases is not to keep its own calls from being served.
FLOOD_S_MAX = 1.0

# Calls that may be held back, of all connections; further ones begin as they come. Each takes some
# 5 KB beside the 33 KB that it took in gRPC's queue: 3,000 of them, 14 MiB.
HELD_MAX = 4_000

# How often it is looked whether calls still come, in seconds.
TICK_S = 0.005

# Calls that begin in a tick in which none has come: a call takes 0.3 ms at the least (the bare echo
# of `make bench`), so that half of the time is left for whoever comes.
BEGIN_WHEN_QUIET = 8

# While calls come in each tick, one begins in so many, so that all end even where those that have
# begun do not: twenty a second, which take a hundredth of the time.
TICKS_FOR_ONE = 10

Respond: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
Later: TypeAlias = Callable[[float, Callable[[], None]], object]


def _call_later(seconds: float, function: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, function)


class _Connection:
    """How many of its calls have begun and not ended, and what tells the others that they may."""

    __slots__ = ("begun", "came", "floods_since", "held")

    def __init__(self) -> None:
        self.begun = 0
        # How many have come since the last tick and were held.
        self.came = 0
        # Since when it floods, on the clock; None if it does not.
        self.floods_since: float | None = None
        # In the order in which they came.
        self.held: dict[asyncio.Future[None], None] = {}


class HeldBack:
    """Holds calls back. `gave_up` is told the peer of each that is given up meanwhile.

    A call that is held has its place with gRPC, and its deadline: both end it. No call is held
    while `hurried` says that a shutdown waits. `later` calls a function after some seconds, and
    `now` is the monotonic clock.
    """

    def __init__(
        self,
        gave_up: Callable[[str], None],
        hurried: Callable[[], bool],
        later: Later = _call_later,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._now = now
        self._gave_up = gave_up
        self._hurried = hurried
        self._later = later
        self._connections: dict[str, _Connection] = {}
        # Those with calls that are held; the first one has the next turn.
        self._waiting: dict[str, None] = {}
        self._held = 0
        # Whether a tick is to come, when the last one was, and how many calls have come since.
        self._ticks = False
        self._ticked_at = 0.0
        self._came = 0
        # Ticks since a call has begun in one.
        self._without = 0

    def __len__(self) -> int:
        return self._held

    def around(self, respond: Respond) -> Respond:
        """Return a handler of gRPC's that holds back what another one responds to."""

        async def hold(messages: Any, context: Any) -> Any:
            peer = context.peer()
            # On a socket file all clients have one name.
            if peer == UNIX_PEER:
                return await respond(messages, context)
            self._came += 1
            connection = self._connections.get(peer)
            if connection is None:
                connection = self._connections[peer] = _Connection()
            has_room = connection.begun < AT_ONCE and not connection.held
            if has_room or self._held >= HELD_MAX or self._hurried():
                connection.begun += 1
            else:
                await self._turn(peer, connection, context)
            try:
                responding = respond(messages, context)
                # An error's traceback would hold them, and they the call, and that the error.
                del messages, context
                return await responding
            finally:
                self._ended(peer, connection)

        return hold

    async def _turn(self, peer: str, connection: _Connection, context: Any) -> None:
        """Return when a call that is held back may begin; it counts as begun then."""
        turn = asyncio.get_running_loop().create_future()
        if peer not in self._waiting:
            self._waiting[peer] = None
            connection.came, connection.floods_since = 0, None
        connection.held[turn] = None
        connection.came += 1
        self._held += 1
        if not self._ticks:
            self._ticked_at, self._came = self._now(), 1
        self._tick_later()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                connection.held.pop(turn, None)
                self._forget_if_idle(peer, connection)
            else:  # its turn had just come
                self._ended(peer, connection)
            left = context.time_remaining()
            if left is None or left > 0:
                self._gave_up(peer)
            raise
        finally:
            self._held -= 1
            del context

    def _tick_later(self) -> None:
        if not self._ticks:
            self._ticks = True
            self._later(TICK_S, self._tick)

    def _tick(self) -> None:
        """Have some calls begin, of one connection after the other."""
        self._without += 1
        count = self._without // TICKS_FOR_ONE if self._came else BEGIN_WHEN_QUIET
        if count:
            self._without = 0
        if self._hurried():
            count = HELD_MAX
        self._look_for_floods()
        self._ticks = False
        self._came = 0
        while count and self._waiting:
            peer = next(iter(self._waiting))
            del self._waiting[peer]
            connection = self._connections.get(peer)
            if connection is not None and self._begin(connection):
                count -= 1
                if connection.held:
                    self._waiting[peer] = None
        if self._waiting:
            self._tick_later()

    def _look_for_floods(self) -> None:
        now = self._now()
        are_many = self._came >= FLOOD_PER_S * (now - self._ticked_at)
        self._ticked_at = now
        for peer in self._waiting:
            connection = self._connections.get(peer)
            if connection is None:
                continue
            is_share = connection.came >= self._came * FLOOD_SHARE
            if not (are_many and is_share and len(connection.held) >= FLOOD_HELD):
                connection.floods_since = None
            elif connection.floods_since is None:
                connection.floods_since = now
            connection.came = 0
            self._fill(connection)

    def _ended(self, peer: str, connection: _Connection) -> None:
        connection.begun -= 1
        self._fill(connection)
        self._forget_if_idle(peer, connection)

    def _fill(self, connection: _Connection) -> None:
        """Have calls begin until there are as many as there may be at once; none of a flood."""
        since = connection.floods_since
        if since is not None and self._now() - since < FLOOD_S_MAX:
            return
        while connection.begun < AT_ONCE and self._begin(connection):
            pass

    def _begin(self, connection: _Connection) -> bool:
        """Have the call begin that has been held for longest, if there is one."""
        while connection.held:
            turn = next(iter(connection.held))
            del connection.held[turn]
            if not turn.done():  # it may have been given up just now
                connection.begun += 1
                turn.set_result(None)
                return True
        return False

    def _forget_if_idle(self, peer: str, connection: _Connection) -> None:
        if connection.begun or connection.held:
            return
        if self._connections.get(peer) is connection:
            del self._connections[peer]
