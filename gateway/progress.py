"""Progress: one line on a terminal that says how far something is."""

from time import monotonic

from gateway.output import has_terminal, overwrite

# How often the line is written anew, in seconds.
_INTERVAL_S = 0.2


class ProgressLine:
    """Says on standard error how far something is, if that is a terminal. Use as a context."""

    def __init__(self) -> None:
        self._is_shown = has_terminal()
        self._told_at = 0.0

    def tell(self, doing: str, done: int, of: int) -> None:
        """Say what is being done, how much of it is done, and how much there is; 0 if unknown."""
        now = monotonic()
        if not self._is_shown or (now - self._told_at < _INTERVAL_S and done < of):
            return
        self._told_at = now
        far = f" {done:,} of {of:,}" if of else " ..."
        overwrite(f"{doing}{far}")

    def __enter__(self) -> "ProgressLine":
        return self

    def __exit__(self, *_: object) -> None:
        if self._told_at:
            overwrite("")
