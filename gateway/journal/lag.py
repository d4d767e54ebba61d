"""Lags: how far an index is behind its journal, and what cannot be told meanwhile."""

from typing import NamedTuple

from gateway.journal.errors import LogUnavailableError


class Lag(NamedTuple):
    """An index that is behind its journal by more than the last moment.

    It lacks `behind` of `held` events that the journal has, as far as is known. If it is cut off,
    nothing more comes at present, and there may be any number more.
    """

    behind: int
    held: int
    is_cut_off: bool

    @property
    def is_filling(self) -> bool:
        """Whether it gets what it lacks."""
        return not self.is_cut_off

    @property
    def progress(self) -> str:
        """How far it is, in words."""
        return f"it has {self.held - self.behind} of {self.held} events"

    def not_there_yet(self) -> LogUnavailableError:
        """Return the error of whoever asks for what may be among the events that it lacks."""
        return LogUnavailableError(
            f"the index of this gateway is behind the event log: {self.progress}. What is asked for"
            " may be among the others"
        )
