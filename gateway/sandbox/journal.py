"""What was asked of the sandbox and what it executed, for tests that must prove a count."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class RecordedRequest:
    """A REST request as it arrived. The value of ``Authorization`` is left out."""

    at: float
    """Sandbox seconds since the epoch."""
    method: str
    path: str
    """As sent: still percent-encoded, ``/v2`` included."""
    query: str
    """The raw query string, without the question mark."""
    headers: tuple[tuple[str, str], ...]
    operation: str | None = None
    """``None`` when the path or method is unknown."""
    body: Any = None
    """Parsed JSON; ``None`` when there was none or it could not be parsed."""
    request_id: str = ""
    status: int | None = None
    """As answered; ``None`` while unanswered, and when the connection was dropped."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A command that took effect."""

    at: float
    """Sandbox seconds since the epoch."""
    operation: str
    path: dict[str, str]
    call_control_id: str | None
    command_id: str | None
    body: dict[str, Any]


class Journal:
    """The most recent requests and executions, so many of each at most."""

    def __init__(self, size: int) -> None:
        self.requests: deque[RecordedRequest] = deque(maxlen=size)
        self.executions: deque[Execution] = deque(maxlen=size)

    def clear(self) -> None:
        """Start counting afresh."""
        self.requests.clear()
        self.executions.clear()
