"""Progress: one line on a terminal that says how far something is."""

import sys
from time import monotonic

# How often the line is written anew, in seconds.
_INTERVAL_S = 0.2

_START_OF_LINE, _CLEAR = "\r", "\x1b[K"


class ProgressLine:
    """Says on standard error how far something is, if that is a terminal. Use as a context."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._told_at = 0.0

    def tell(self, doing: str, done: int, of: int) -> None:
        """Say what is being done, how much of it is done, and how much there is; 0 if unknown."""
        now = monotonic()
        if not self._is_shown or (now - self._told_at < _INTERVAL_S and done < of):
            return
        self._told_at = now
        far = f" {done:,} of {of:,}" if of else " ..."
        self._write(f"{_START_OF_LINE}{doing}{far}{_CLEAR}")

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._told_at:
            self._write(f"{_START_OF_LINE}{_CLEAR}")

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
