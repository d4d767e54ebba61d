"""What subscribers are given: events that fit into one batch, made once for all at one place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.journal.entry import StoredFrame
from gateway.journal.filter import Filter, WakeKey
from gateway.feed.frames import fitting
from gateway.journal.log import READ_BYTES_MAX
from gateway.feed.start import Loss

# The encoded size of a batch, in bytes: well below the 4 MiB that gRPC clients accept by default.
BATCH_BYTES_MAX = READ_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a subscriber gets next: events in order, and the position to resume after.

    No events and no loss: nothing matched, and the position moved past what did not. Subscribers
    who are at the same place get the very same object, so that who encodes it can do it once.
    """

    frames: Sequence[StoredFrame]
    position: int
    live: bool
    loss: Loss | None = None
    draining: bool = False


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


class Lot(NamedTuple):
    """Events that fit into one batch, as they are given to those who are live and to others.

    The position is the number up to which all has been looked at.
    """

    live: Delivery
    behind: Delivery

    @classmethod
    def of(cls, frames: Sequence[StoredFrame], through: int) -> "Lot":
        """Return the same events for both."""
        return cls(Delivery(frames, through, True), Delivery(frames, through, False))


def lot_of(matching: Sequence[StoredFrame], through: int, limit: int) -> Lot:
    """Return as many events as fit, of up to `limit` that match and come before `through`."""
    fit = fitting([it.frame for it in matching], BATCH_BYTES_MAX)
    if len(matching) < limit and fit == len(matching):
        return Lot.of(matching, through)
    return Lot.of(matching[:fit], matching[fit - 1].sequence)
