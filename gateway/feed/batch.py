"""Batches: how many events a subscriber is given at a time, and who can share them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.feed.frames import fitting
from gateway.journal.events import Framed
from gateway.journal.filter import Filter, WakeKey
from gateway.journal.reading import READ_BYTES_MAX, Batch

# The encoded size of a batch, in bytes: well below the 4 MiB that gRPC clients accept by default.
BATCH_BYTES_MAX = READ_BYTES_MAX


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Audience:
    """Subscribers who want the same, and as much of it at a time.

    One object for all of them, compared by identity: filters are costly to compare.
    """

    wanted: Filter
    batch_max: int
    keys: tuple[WakeKey, ...] = field(init=False)
    """What they are woken by. Kept once for all of them: a filter may have thousands."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", self.wanted.wake_keys())


def batch_of(matching: Sequence[Framed], through: int, limit: int) -> Batch:
    """Return as many events as fit, of up to `limit` that match and come before `through`."""
    fit = fitting([it.frame for it in matching], BATCH_BYTES_MAX)
    if len(matching) < limit and fit == len(matching):
        return Batch(matching, through)
    return Batch(matching[:fit], matching[fit - 1].sequence)
