"""Moves: a log goes to another place and stays the same log, so that its cursors stay good.

Two logs must never give out cursors of one epoch, whatever breaks off in between. So each of the
two places says of itself how far the move is, and nobody opens a log that does not live:

1. The new log is made with the epoch of the old one, *arriving*, and gets the events.
2. The old log is closed for good: it has *departed*. From here on the move can only go on.
3. The new log, which has the last events now, arrives no more: it lives.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from gateway.journal.errors import LogOpenError

# Under which names a log has its marks.
ARRIVING, DEPARTED = "arriving", "departed"

# Of what an id is made, in bytes: no two moves have the same.
_ID_BYTES = 8


class Move(NamedTuple):
    """A move: an id that tells it from all others, and the other place, for people."""

    id: str
    place: str

    @classmethod
    def begun(cls, place: str) -> "Move":
        """Return a new move, to or from a place."""
        return cls(secrets.token_hex(_ID_BYTES), place)

    @classmethod
    def parse(cls, text: str) -> "Move":
        """Read what `str` makes of one."""
        id_, _, place = text.partition(" ")
        return cls(id_, place)

    def __str__(self) -> str:
        return f"{self.id} {self.place}"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a log says of a move that brings it here and is not done, and of one that took it away.

    A log that says nothing lives.
    """

    arriving: Move | None = None
    departed: Move | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a log is made with that a move brings: the epoch of the other one."""

    epoch: bytes
    move: Move


@dataclass(frozen=True, slots=True)
class Opening:
    """How a log is opened: as it was, or as one that is being moved.

    The first event of a log that is made gets the number `begins_at`; an `arrival` is what it is
    made with. `is_for_move` opens also a log that does not live.
    """

    begins_at: int = 1
    arrival: Arrival | None = None
    is_for_move: bool = False

    def check(self, marks: Marks, place: object) -> None:
        """Raise LogOpenError if a log with some marks is not to be opened so."""
        if (refusal := self.refusal(marks, place)) is not None:
            raise LogOpenError(refusal)

    def refusal(self, marks: Marks, place: object) -> str | None:
        """Return why a log with some marks is not to be opened so, None if it is."""
        if self.is_for_move:
            return None
        if (departed := marks.departed) is not None:
            return (
                f"the event log {place} was moved to {departed.place}: use that one. If the move"
                " was broken off, the same `telnyx-gateway log copy --move` ends it"
            )
        if (arriving := marks.arriving) is not None:
            return (
                f"the event log {place} is where {arriving.place} is being moved to, and not all of"
                " it is here: the same `telnyx-gateway log copy --move` ends that"
            )
        return None


AS_IT_WAS = Opening()


@dataclass(frozen=True, slots=True)
class Standing:
    """Which log there is at a place: its epoch, and how far moves of it are."""

    epoch: bytes
    marks: Marks


def marks_of(text: Callable[[str], str | None], named: Callable[[str], str] = str) -> Marks:
    """Return the marks of a log, from what it says under the names that `named` makes of these."""
    said = (text(named(name)) for name in (ARRIVING, DEPARTED))
    return Marks(*(Move.parse(it) if it else None for it in said))
