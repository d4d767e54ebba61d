"""What a log must hold for this gateway to read it: for those who look through a whole log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gateway.journal.events import NewEvent
from gateway.journal.format import EventFormat

Progress: TypeAlias = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is; zero if unknown."""


@dataclass(frozen=True, slots=True)
class Content:
    """How events and checkpoints are read out of what is stored.

    `event_of` makes of a body and its signed bytes the event that they were stored as, `body_of`
    takes the body out of the frame of a number, and each of `checkpoints` reads the value of the
    checkpoint with its name. All raise ValueError for what they cannot read.
    """

    format: EventFormat
    event_of: Callable[[bytes, bytes], NewEvent]
    body_of: Callable[[int, bytes], bytes]
    checkpoints: Mapping[str, Callable[[bytes], object]]


def unheard(doing: str, done: int, of: int) -> None:
    """Tell nobody how far something is."""
