"""A component of the gateway: what may be wrong with it, and what that stops."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Component:
    """A part that works or does not.

    `problem` says what is wrong with it at this moment, None if nothing. Anybody may read that, so
    it has no secrets and no words of the provider's. `services` are the gRPC services, by full
    name, that cannot do their work without it. A component that is not `needed` for readiness is
    only shown. Whoever changes one that is not `recorded` tells of that himself.
    """

    name: str
    problem: Callable[[], str | None]
    services: frozenset[str] = frozenset()
    needed: bool = True
    recorded: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a component: whether it works, or what is wrong with it.

    `since` is when it began to work or stopped working, on the monotonic clock, in seconds.
    """

    name: str
    reason: str | None
    since: float

    @property
    def ok(self) -> bool:
        """Whether it works."""
        return self.reason is None
