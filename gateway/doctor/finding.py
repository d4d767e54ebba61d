"""What a check has found."""

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """How bad it is; the value is the word for it."""

    OK = "ok"
    # It works, or it is not known whether it does; somebody should look.
    WARNING = "look"
    # The gateway cannot start, or not do what it is for.
    FAULT = "FAULT"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what is so, and, unless all is well, what to do."""

    subject: str
    state: State
    text: str
    mend: str = ""


def ok(subject: str, text: str) -> Finding:
    """Return the finding that all is well."""
    return Finding(subject, State.OK, text)


def warning(subject: str, text: str, mend: str) -> Finding:
    """Return the finding that somebody should look."""
    return Finding(subject, State.WARNING, text, mend)


def fault(subject: str, text: str, mend: str) -> Finding:
    """Return the finding that something does not work."""
    return Finding(subject, State.FAULT, text, mend)
