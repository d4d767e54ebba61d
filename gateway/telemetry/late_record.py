"""Lines of calls: told late, in the thread that writes, of records that are quickly made."""

import logging
from collections.abc import Callable, Hashable, Mapping
from typing import TypeAlias

Later: TypeAlias = Callable[[Callable[[], None]], None]
"""Has something told sometime soon, in another thread, in the order in which it was given."""


def at_once(tell: Callable[[], None]) -> None:
    """Have it told now: what to do where no logs are set up."""
    tell()


# What a record has as long as nobody sets it: formatters look it up in its `__dict__`.
_UNKNOWN = logging.makeLogRecord(
    dict.fromkeys(("thread", "threadName", "process", "processName", "taskName"))
    | {"lineno": 0, "module": "", "relativeCreated": 0.0}
).__dict__


class LateRecord(logging.LogRecord):
    """A record of what happened at the time `created`, in seconds since 1970.

    It passes through loggers, filters and handlers like any other. It does not know where in the
    code it was logged, nor by which thread: finding that out takes longer than making the line.
    `fields`, `kind` and `is_thinned` are what others have as `extra` (see `lines` and `flood`).
    """

    def __init__(
        self,
        name: str,
        level: int,
        created: float,
        message: str,
        fields: Mapping[str, object],
        kind: Hashable,
        *,
        is_thinned: bool,
    ) -> None:
        # On purpose without that of the class above: it is what costs.
        self.__dict__ = _UNKNOWN.copy()
        self.name = name
        self.levelno = level
        self.levelname = logging.getLevelName(level)
        self.created = created
        self.msecs = created % 1 * 1_000
        self.msg = message
        self.fields = fields
        self.kind = kind
        self.is_thinned = is_thinned
