"""How many connections there may be, and which of them gives way to a new one.

Whoever holds connections without asking for anything must not keep others out, and one limit for
each address would: behind a load balancer all come from the same. So when no slot is free, the
address that holds most gives one up, first of those on which nothing has come yet, then of those
that wait for their next request. Only where every connection waits for a response is a new one
refused.
"""

from collections.abc import Iterator
from typing import Protocol

from gateway.process import within_descriptors

# Connections in all. The provider opens some hundred after an outage; each costs a few kilobytes,
# and with the largest body that is held half a megabyte.
CONNECTIONS_MAX = 1_000

# The share of the descriptors that webhooks may have: the rest is for gRPC, the log, the provider,
# health and metrics.
SHARE_OF_DESCRIPTORS = 0.4


# And connections to the admin address, with a share of their own: some probes and scrapers, which
# must have their responses also while all others of the process are taken.
ADMIN_CONNECTIONS_MAX = 64
ADMIN_SHARE_OF_DESCRIPTORS = 0.06


def connections_max() -> int:
    """Return how many connections the limit on descriptors allows, at most `CONNECTIONS_MAX`."""
    return within_descriptors(CONNECTIONS_MAX, SHARE_OF_DESCRIPTORS)


def admin_connections_max() -> int:
    """Return how many connections to the admin address it allows."""
    return within_descriptors(ADMIN_CONNECTIONS_MAX, ADMIN_SHARE_OF_DESCRIPTORS)


class Connection(Protocol):
    """What is to be known of a connection."""

    @property
    def address(self) -> str:
        """The address of the peer."""

    @property
    def is_busy(self) -> bool:
        """Whether a complete request waits for its response."""

    @property
    def has_served(self) -> bool:
        """Whether a request was complete."""

    def give_way(self) -> None:
        """Close at once; `ConnectionSlots.leave` may come later."""


class Slots(Protocol):
    """Where a connection gets its slot."""

    def enter(self, connection: Connection) -> bool:
        """Give a new connection a slot. Returns False if there is none."""

    def leave(self, connection: Connection) -> None:
        """Free the slot of a connection, if it has one."""


class ConnectionSlots:
    """The connections that are open, `limit` at most."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # By address; each in the order in which they were opened.
        self._open: dict[str, dict[Connection, None]] = {}
        self.count = 0

    def enter(self, connection: Connection) -> bool:
        """Give a new connection a slot. Returns False if there is none."""
        if self.count >= self.limit:
            other = next(self._can_give_way(), None)
            if other is None:
                return False
            self.leave(other)
            other.give_way()
        self._open.setdefault(connection.address, {})[connection] = None
        self.count += 1
        return True

    def leave(self, connection: Connection) -> None:
        """Free the slot of a connection, if it has one."""
        same = self._open.get(connection.address, {})
        if connection in same:
            del same[connection]
            self.count -= 1
            if not same:
                del self._open[connection.address]

    def _can_give_way(self) -> Iterator[Connection]:
        for same in sorted(self._open.values(), key=len, reverse=True):
            idle = [connection for connection in same if not connection.is_busy]
            yield from (connection for connection in idle if not connection.has_served)
            yield from idle
