"""One line of each kind per second: what comes beside it is counted and told in the next one."""

import logging
import re
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

# How long one line of a kind stands for all of its kind, in seconds.
WINDOW_S = 1.0

# Kinds that are told apart within a window. The gateway has some dozen; a library that writes what
# others sent into its templates could invent any number. Beyond, a logger's lines are one kind.
KINDS_MAX = 200

# What the beginning of a message that has no template tells about its kind, in characters, and what
# in it differs from one to the next: numbers, ids, addresses in memory.
_BEGINNING = 80
_VARYING = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F-]*[0-9][0-9a-fA-F-]*")

# Templates that say nothing by themselves.
_BARE = frozenset({"%s", "%r"})


def kind_of(record: logging.LogRecord) -> Hashable:
    """Return what a record has in common with others of its kind.

    That is its logger, level, template and type of exception. `extra={"kind": ...}` takes the
    place of the template, where one has several kinds; it must come from a small set.
    """
    template = getattr(record, "kind", None)
    if template is None:
        template = record.msg
        if not record.args or template in _BARE:
            beginning = record.getMessage().lstrip()[:_BEGINNING].partition("\n")[0]
            template = _VARYING.sub("0", beginning)
    error = record.exc_info[0] if record.exc_info else None
    return record.name, record.levelno, template, error


@dataclass(slots=True)
class _Window:
    """A kind's second: when it ends, in seconds, and what came after the line that began it."""

    ends: float
    held: logging.LogRecord | None = None
    more: int = 0


class Flood:
    """Lets one record of a kind through per second.

    The first one goes through at once. The next one is held until its second is over, and stands
    for all others that came meanwhile: its attribute `more` says how many. `now` is a clock in
    seconds that is never set back. Any thread may call it.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._windows: dict[Hashable, _Window] = {}
        # How many windows hold a record.
        self._holding = 0
        # How many records were told by number only.
        self.counted = 0

    def passes(self, record: logging.LogRecord, kind: Hashable) -> bool:
        """Return whether a record is to be written now; it is held or counted if it is not."""
        now = self._now()
        with self._lock:
            window = self._windows.get(kind)
            if window is None and len(self._windows) >= KINDS_MAX:
                self._forget(now)
                if len(self._windows) >= KINDS_MAX:
                    kind = record.name
                    window = self._windows.get(kind)
            if window is None or (window.held is None and now >= window.ends):
                self._windows[kind] = _Window(now + WINDOW_S)
                return True
            if window.held is None:
                window.held = _settled(record)
                self._holding += 1
            else:
                window.more += 1
                self.counted += 1
            return False

    @property
    def holds(self) -> bool:
        """Whether records wait for the end of their second."""
        return self._holding > 0

    def due(self, *, all_: bool = False) -> list[logging.LogRecord]:
        """Return the records whose second is over, each once, or all that are held."""
        now = self._now()
        due: list[logging.LogRecord] = []
        with self._lock:
            for window in self._windows.values():
                if window.held is not None and (all_ or now >= window.ends):
                    window.held.__dict__["more"] = window.more
                    due.append(window.held)
                    # Its line is that of the second which begins.
                    window.held, window.more, window.ends = None, 0, now + WINDOW_S
            self._holding -= len(due)
        return due

    def _forget(self, now: float) -> None:
        self._windows = {
            kind: window
            for kind, window in self._windows.items()
            if window.held is not None or now < window.ends
        }


def _settled(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record as a text: it must not keep what it tells of alive."""
    record.msg, record.args = record.getMessage(), None
    if record.exc_info:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
    return record
