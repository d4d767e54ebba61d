"""Commands that have passed through the gateway, for those who watch what they are about."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class PassedCommand:
    """The request of a command that the provider accepted, and when that was.

    The moment is one of the monotonic clock, in seconds.
    """

    request: Message
    passed_at: float


Listener = Callable[[PassedCommand], None]


class PassingCommands:
    """Tells listeners of each command on their conference, after the provider accepted it."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._listeners: dict[str, set[Listener]] = {}

    def __call__(self, request: Message) -> None:
        """Tell of a command; one that names no conference concerns nobody."""
        conference_id = getattr(request, "conference_id", "")
        command = PassedCommand(request, self._now())
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
