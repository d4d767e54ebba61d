"""What the sandbox was sent and what it executed, for tests that must prove a count."""

from collections import deque
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class RecordedRequest:
    """A REST request as it arrived. The value of `Authorization` is left out."""

    # Sandbox seconds since the epoch.
    at: float
    method: str
    # As sent: still percent-encoded, `/v2` included.
    path: str
    # The raw query string, without the question mark.
    query: str
    headers: tuple[tuple[str, str], ...]
    # None when the path or method is unknown.
    operation: str | None = None
    # Parsed JSON; None when there was none or it could not be parsed.
    body: Any = None
    request_id: str = ""
    # The status of the response; None while there is none, and when the connection was dropped.
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Execution:
    """A command that took effect."""

    # Sandbox seconds since the epoch.
    at: float
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
