"""What backfill reports of itself, as values."""

import enum
from dataclasses import dataclass

from gateway.ingest.backfill.complete import Complete


class State(enum.Enum):
    """What backfill is doing."""

    OFF = enum.auto()
    IDLE = enum.auto()
    RUNNING = enum.auto()
    FAILING = enum.auto()  # the last sweep failed; it is retried
    STANDBY = enum.auto()  # another gateway on the log does it


@dataclass(frozen=True, slots=True)
class Report:
    """The state of backfill."""

    state: State
    # The period for which the log is complete; None if that has never been examined.
    complete: Complete | None
    # When the last sweep succeeded, in microseconds since 1970; None if none has yet.
    finished_at_us: int | None = None
    # Since the gateway started.
    stored: int = 0
    # Why the last sweep failed; empty if it did not.
    error: str = ""
    # Entries of the provider's log without a readable event, and pieces of it that could not be
    # fetched, since the gateway started.
    unreadable: int = 0
    skipped: int = 0
    # The gateway that does it, where one of several does; empty if that is not known.
    holder: str = ""
