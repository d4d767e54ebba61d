"""How many connections there may be, and which of them gives way to a new one.

Whoever holds connections without asking for anything must not keep others out, and one limit for
each address would: behind a load balancer all come from the same. So when no slot is free, the
address that holds most gives one up, first of those on which no request was complete yet, then of
those that wait for their next request or do not read their response, and then of those that nobody
has read from yet. Only where every connection waits for a response is a new one refused.
"""

from collections.abc import Iterator
from itertools import chain
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
        """Whether a complete request waits for its response, not the response for a reader."""

    def give_way(self) -> None:
        """Close at once; `ConnectionSlots.leave` may come later."""


class Slots(Protocol):
    """Where a connection that is served gets its slot."""

    def enter(self, connection: Connection) -> bool:
        """Give a new connection a slot. Returns False if there is none."""

    def served(self, connection: Connection) -> None:
        """Take note that a connection has had a complete request."""

    def leave(self, connection: Connection) -> None:
        """Free the slot of a connection, if it has one."""


class _Same:
    """The connections of one address, each kind in the order in which they came to it.

    They are kept apart so that a flood of new connections finds at once which gives way: a look at
    all of them for each new one took longer than to serve it.
    """

    def __init__(self) -> None:
        # On which no request was complete yet, the others, and those that wait to be served.
        self.new: dict[Connection, None] = {}
        self.served: dict[Connection, None] = {}
        self.waiting: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self.new) + len(self.served) + len(self.waiting)

    def __contains__(self, connection: Connection) -> bool:
        return connection in self.new or connection in self.served or connection in self.waiting

    def remove(self, connection: Connection) -> None:
        self.new.pop(connection, None)
        self.served.pop(connection, None)
        self.waiting.pop(connection, None)

    def can_give_way(self) -> Iterator[Connection]:
        return (it for it in chain(self.new, self.served, self.waiting) if not it.is_busy)


class ConnectionSlots:
    """The connections that are open, `limit` at most."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open: dict[str, _Same] = {}
        self.count = 0
        # How many of them wait to be served.
        self.waiting = 0

    @property
    def are_taken(self) -> bool:
        """Whether another connection has one only if one gives way."""
        return self.count >= self.limit

    def enter(self, connection: Connection) -> bool:
        """Give a new connection a slot. Returns False if there is none."""
        if (same := self._with_room(connection)) is None:
            return False
        same.new[connection] = None
        return True

    def wait(self, connection: Connection) -> bool:
        """Give a slot to one that waits to be served. Returns False if there is none."""
        if (same := self._with_room(connection)) is None:
            return False
        same.waiting[connection] = None
        self.waiting += 1
        return True

    def begin(self, connection: Connection) -> None:
        """Take note that one that waited is read from: it gives way as all new ones do."""
        same = self._open.get(connection.address)
        if same is not None and connection in same.waiting:
            del same.waiting[connection]
            self.waiting -= 1
            same.new[connection] = None

    def served(self, connection: Connection) -> None:
        """Take note that a connection has had a complete request."""
        same = self._open.get(connection.address)
        if same is not None and connection in same.new:
            del same.new[connection]
            same.served[connection] = None

    def leave(self, connection: Connection) -> None:
        """Free the slot of a connection, if it has one."""
        same = self._open.get(connection.address)
        if same is not None and connection in same:
            self.waiting -= connection in same.waiting
            same.remove(connection)
            self.count -= 1
            if not same:
                del self._open[connection.address]

    def _with_room(self, connection: Connection) -> _Same | None:
        """Return the address of a connection, which has a slot now if it is kept there."""
        if self.are_taken:
            other = self._gives_way()
            if other is None:
                return None
            self.leave(other)
            other.give_way()
        self.count += 1
        return self._open.setdefault(connection.address, _Same())

    def _gives_way(self) -> Connection | None:
        by_size = sorted(self._open.values(), key=len, reverse=True)
        return next((it for same in by_size for it in same.can_give_way()), None)
