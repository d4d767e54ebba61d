"""Commands that the provider accepted, for those who watch the conference they are about."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

from google.protobuf.message import Message

from gateway.conference.ports import CONFERENCE_KEY


@dataclass(frozen=True, slots=True)
class AcceptedCommand:
    """The request of a command that the provider accepted, and when that was.

    The moment is one of the monotonic clock, in seconds.
    """

    request: Message
    accepted_at: float


CommandObserver: TypeAlias = Callable[[AcceptedCommand], None]


class AcceptedCommands:
    """Hands each command to the observers of its conference. `now` is the monotonic clock."""

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._observers: dict[str, set[CommandObserver]] = {}

    @property
    def observed(self) -> frozenset[str]:
        """The ids of the conferences that have observers."""
        return frozenset(self._observers)

    def add(self, request: Message) -> None:
        """Hand on a command; one that names no conference concerns nobody."""
        conference_id = getattr(request, CONFERENCE_KEY, "")
        command = AcceptedCommand(request, self._now())
        for observer in tuple(self._observers.get(conference_id, ())):
            observer(command)

    @contextmanager
    def observing(self, conference_id: str, observer: CommandObserver) -> Iterator[None]:
        """Have `observer` given the commands on a conference while the context is open."""
        self._observers.setdefault(conference_id, set()).add(observer)
        try:
            yield
        finally:
            observers = self._observers[conference_id]
            observers.discard(observer)
            if not observers:
                del self._observers[conference_id]
