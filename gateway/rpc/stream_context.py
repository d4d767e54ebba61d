"""What a behaviour sees of a stream that it writes."""

from typing import Any

from gateway.rpc.peers import Peer, Peers


class StreamContext:
    """What a behaviour sees of a stream: like gRPC's own context, with bounds on what waits."""

    __slots__ = ("_context", "_peer", "_peers", "has_written", "peer", "time_remaining")

    def __init__(self, context: Any, peer: Peer, peers: Peers) -> None:
        self._context = context
        self._peer = peer
        self._peers = peers
        self.peer = context.peer
        self.time_remaining = context.time_remaining
        # Whether the stream has had a response.
        self.has_written = False

    async def write(self, response: bytes) -> None:
        """Write a response; returns when the next one may be written."""
        size = await self._peers.stream(self._peer, len(response))
        try:
            await self._context.write(response)
            self.has_written = True
        finally:
            self._peers.taken(self._peer, size)
