"""Whom an attack is for, and for how long."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

# Where attackers come from: an address of their own on this machine, so that the log tells them
# from honest callers.
ATTACKER = "127.0.0.66"


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway, its provider, and the moment when the attack is to end (`time.monotonic`)."""

    http: str
    admin: str
    grpc: str
    provider: str
    ends_at: float
    # The gateway's log, a file of this machine.
    log: str
    source: str = ATTACKER

    @property
    def goes_on(self) -> bool:
        return monotonic() < self.ends_at


# Attacks, and returns in words what it did.
Attack: TypeAlias = Callable[[Target], str]
