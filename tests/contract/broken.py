"""Broken homes: the one in memory with a mistake that somebody could make."""

from contextlib import nullcontext
from dataclasses import dataclass

from tests.contract.check import Check
from tests.contract.homes import Home
from tests.contract.memory import (
    MemoryBroadcast,
    MemoryCheckpoints,
    MemoryIndex,
    MemoryJournal,
    MemoryLease,
    MemoryPlace,
)


@dataclass(frozen=True, slots=True)
class Break:
    """A broken home, and the checks each of which must notice it."""

    home: Home
    caught_by: tuple[Check, ...]


def broken(
    name: str,
    *caught_by: Check,
    journal: type[MemoryJournal] = MemoryJournal,
    index: type[MemoryIndex] = MemoryIndex,
    checkpoints: type[MemoryCheckpoints] = MemoryCheckpoints,
    broadcast: type[MemoryBroadcast] = MemoryBroadcast,
    lease: type[MemoryLease] = MemoryLease,
    place: type[MemoryPlace] = MemoryPlace,
) -> Break:
    """Return a break: the home with one of these in the place of what it should be."""
    home = Home(name, lambda: nullcontext(place(journal, index, checkpoints, broadcast, lease)))
    return Break(home, caught_by)
