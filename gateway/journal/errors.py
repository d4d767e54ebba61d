"""What goes wrong with an event log.

LogError
+-- LogUnavailableError   events cannot be stored or read now (disk full, server away)
|   +-- LogBusyError      too many want to read already
|   +-- OutdatedError     a value is another by now than it was
+-- LogOpenError          the log cannot be opened at all; the text says what to do
OvertakenError            what follows a position is not held any more
"""


class LogError(Exception):
    """The log failed."""


class LogUnavailableError(LogError):
    """Events cannot be stored or read now; it may pass."""


class LogBusyError(LogUnavailableError):
    """Too many want to read already: nothing was begun. It may be asked for again."""


class OutdatedError(LogUnavailableError):
    """A value was to be replaced that is another by now: it has to be read again."""


class LogOpenError(LogError):
    """The log cannot be opened."""


class OvertakenError(Exception):
    """Events that follow a position have been deleted; `oldest` is the number of the oldest left.

    If none is left, `oldest` is that of the next event.
    """

    def __init__(self, oldest: int) -> None:
        super().__init__(f"the oldest event that is held has number {oldest}")
        self.oldest = oldest
