"""Backfill: what was missed, looked for in the provider's own log."""

import enum
from typing import NamedTuple


class Cause(enum.Enum):
    """Why a sweep is made. The value is its name in metrics."""

    START = "start"  # the gateway has been away
    FAILED_WRITE = "failed_write"  # a webhook was refused because it could not be stored
    SILENCE = "silence"  # no webhook has come for an interval
    ROUTINE = "routine"  # none of these: only what the provider itself calls failed


class Verdict(enum.Enum):
    """What became of a delivery that was looked at. The value is its name in metrics."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # the log had it
    FOREIGN = "foreign"  # it was addressed to somebody else
    UNREADABLE = "unreadable"  # there is no event in it that can be read or stored


class DeliveryChecked(NamedTuple):
    """An entry of the provider's log that was looked at."""

    verdict: Verdict


class SweepEnded(NamedTuple):
    """A sweep that is over.

    `stored` is how many events it has stored, `error` why it has failed, None if it has not.
    """

    cause: Cause
    began: float
    seconds: float
    stored: int = 0
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it came to its end."""
        return self.error is None
