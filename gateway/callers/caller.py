"""Callers: services of the mesh, by the names that the gateway's operator has given them."""

import enum
from dataclasses import dataclass

from gateway.callers.limits import DEFAULTS, Limits
from gateway.journal.filter import EVERYTHING, Filter


class Role(enum.IntEnum):
    """What a caller may do; each role may do all that the ones before it may."""

    READER = 1  # read events and what the provider has, which changes nothing
    OPERATOR = 2  # command conferences, calls and what is in queues
    ADMIN = 3  # change what belongs to the account


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller that is known.

    `name` stands in metrics, lines and limits. `connections` are the ids of the connections (voice
    applications) that it is bound to, None if it is not bound. `queues` are the names of the queues
    that it may touch; None for all of them, or for none if it is bound to connections, as queues
    belong to the account. `visible` is the condition on events that follows from the connections:
    what is not within it does not exist for the caller. `limits` bound all that it does at a time,
    over whatever connections; they do not hold for UNNAMED.
    """

    name: str
    role: Role
    connections: frozenset[str] | None = None
    queues: frozenset[str] | None = None
    visible: Filter = EVERYTHING
    limits: Limits = DEFAULTS

    @property
    def is_bound(self) -> bool:
        """Whether it may not see and command everything that its role allows."""
        return self.connections is not None or self.queues is not None

    @property
    def has_queues(self) -> bool:
        """Whether there are queues that it may touch."""
        return bool(self.queues) if self.queues is not None else self.connections is None

    def may_touch(self, queue_name: str) -> bool:
        """Tell whether it may touch a queue."""
        if self.queues is None:
            return self.connections is None
        return queue_name in self.queues


# Every caller, where nobody has said who there is: no name, and no bounds but those that hold for
# each connection.
UNNAMED = Caller("", Role.ADMIN)
