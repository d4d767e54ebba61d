"""Commands that have passed through the gateway, for those who watch what they are about."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any


@dataclass(frozen=True, slots=True)
class PassedCommand:
    """A command that the provider accepted: the RPC's name, its request, and when that was.

    The moment is one of the monotonic clock, in seconds.
    """

    name: str
    request: Any
    passed_at: float


Listener = Callable[[PassedCommand], None]


class PassingCommands:
    """Tells listeners of each command on their conference, after the provider accepted it."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._listeners: dict[str, set[Listener]] = {}

    def __call__(self, name: str, request: Any) -> None:
        """Tell of a command; one that names no conference concerns nobody."""
        conference_id = getattr(request, "conference_id", "")
        command = PassedCommand(name, request, self._now())
        for listener in tuple(self._listeners.get(conference_id, ())):
            listener(command)

    @contextmanager
    def listening(self, conference_id: str, listener: Listener) -> Iterator[None]:
        """Have `listener` told of commands on a conference while the context is open."""
        self._listeners.setdefault(conference_id, set()).add(listener)
        try:
            yield
        finally:
            listeners = self._listeners[conference_id]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[conference_id]
