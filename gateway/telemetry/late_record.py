"""Records whose words are made when their line is written, and not when they are logged."""

import logging
from collections.abc import Hashable
from time import time
from typing import Protocol


class Telling(Protocol):
    """What a line says, made of values that do not change any more: whenever, in any thread."""

    def words(self) -> str:
        """Return the message of the line."""

    def fields(self) -> dict[str, object]:
        """Return what the line has beside its words."""


# What a record has as long as nobody sets it: formatters look it up in its `__dict__`.
_UNKNOWN = logging.makeLogRecord(
    dict.fromkeys(("thread", "threadName", "process", "processName", "taskName"))
    | {"lineno": 0, "module": "", "relativeCreated": 0.0}
).__dict__


class LateRecord(logging.LogRecord):
    """A record for one line per call: it costs who logs it a tenth of what another one does.

    It passes through loggers, levels, filters and handlers like any other, and tells all that ours
    ask for. What it does not know is where in the code it was logged, nor by which thread: finding
    that out takes longer than making the line.

    `kind` is what it has in common with others (see `flood`), and `is_thinned` whether it may be
    left out for them.
    """

    def __init__(
        self, name: str, level: int, telling: Telling, kind: Hashable, *, is_thinned: bool
    ) -> None:
        # On purpose without that of the class above: it is what costs.
        self.__dict__ = _UNKNOWN.copy()
        self.name = name
        self.levelno = level
        self.levelname = logging.getLevelName(level)
        self.created = time()
        self.msecs = self.created % 1 * 1_000
        self.kind = kind
        self.is_thinned = is_thinned
        self._telling = telling

    @property
    def fields(self) -> dict[str, object]:
        """What the line has beside its words."""
        return self._telling.fields()

    def getMessage(self) -> str:
        """Return the message of the line."""
        return self._telling.words()
