"""Admission: each call counts for its connection, from its beginning to its end."""

from typing import Any

from grpc import StatusCode

from gateway.records.calls import OTHER, CallEnded
from gateway.server.call import Call
from gateway.server.hooks.hook import Hook
from gateway.server.hooks.peers import GIVEN_UP_WITHIN_S, Peer, Peers

# The largest header of a call, in bytes as HTTP/2 counts them (RFC 9113, 6.5.2): names, values, and
# 32 for each. Some 200 fields at the most. gRPC's default, from which on it would refuse at random.
METADATA_BYTES_MAX = 8 * 1024

# Bytes of a message that may have come although nobody reads it, of a call that is refused before:
# the largest that the event service takes. A caller at a limit of its own is refused, and must not
# have the connection closed that it may share with others.
_REFUSED_BYTES = 144 * 1024

# The status of a call whose caller has gone before its end.
_CANCELLED = StatusCode.CANCELLED.name


class Admission(Hook):
    """A hook that takes calls of connections within their bounds, and refuses others in words."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._admitted: dict[Call[Any], _Admitted] = {}

    def on_start(self, call: Call[Any]) -> None:
        """See `Hook`."""
        self._admitted[call] = call.outflow = _Admitted(self._peers, self._peers.admit(call.peer))

    def on_message(self, call: Call[Any], size: int) -> None:
        """See `Hook`."""
        admitted = self._admitted[call]
        # So many of its connection's bytes are explained. Calls of methods that nobody has explain
        # nothing: no honest client makes many of them, and each costs as much as another.
        if call.method != OTHER:
            admitted.peer.requests += size + METADATA_BYTES_MAX
        admitted.has_message = True

    def on_end(self, call: Call[Any], end: CallEnded) -> None:
        """See `Hook`."""
        admitted = self._admitted.pop(call)
        admitted.end_turn()
        admitted.taken(admitted.unread)
        if end.refused is not None and end.refused.limit and not admitted.has_message:
            admitted.peer.requests += _REFUSED_BYTES + METADATA_BYTES_MAX
        self._peers.ended(
            admitted.peer,
            given_up=call.stands_for if _is_given_up(call, end) else 0,
            silent=call.lacks_message,
        )


def _is_given_up(call: Call[Any], end: CallEnded) -> bool:
    """Tell whether a call was for nothing, so that many of them are a flood.

    One of a method that nobody has costs as much as another, and no honest client goes on with it.
    """
    if call.method == OTHER:
        return True
    is_short = end.status == _CANCELLED and end.seconds < GIVEN_UP_WITHIN_S
    # A stream that has had a response is no flood when it is left.
    return is_short and not call.has_responded


class _Admitted:
    """What an admitted call holds of its connection's room."""

    __slots__ = ("_has_turn", "_peers", "has_message", "peer", "unread")

    def __init__(self, peers: Peers, peer: Peer) -> None:
        self._peers = peers
        self.peer = peer
        self.has_message = False
        # Bytes of a response that the client has not taken.
        self.unread = 0
        self._has_turn = False

    def respond(self, size: int) -> None:
        """See `Outflow`."""
        self.unread = self._peers.respond(self.peer, size)

    async def prepare(self) -> None:
        """See `Outflow`."""
        if not self._has_turn:
            await self.peer.turns.acquire()
            self._has_turn = True

    async def stream(self, size: int) -> int:
        """See `Outflow`."""
        held = await self._peers.stream(self.peer, size)
        self.end_turn()
        return held

    def taken(self, size: int) -> None:
        """See `Outflow`."""
        self._peers.taken(self.peer, size)

    def end_turn(self) -> None:
        """Let another call of the connection make a large response."""
        if self._has_turn:
            self._has_turn = False
            self.peer.turns.release()
