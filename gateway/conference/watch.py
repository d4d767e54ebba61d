"""A watch: the state of one conference, and each change of it."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import ConferenceState
from gateway.conference.commands import AcceptedCommand
from gateway.conference.ports import EventStream, TimeSource
from gateway.conference.refresh import Refresh
from gateway.conference.state import Change, ConferencePicture

# How long an event may have been on its way through the gateway, in seconds. More than that is a
# clock that was set.
_ON_ITS_WAY_MAX_S = 5.0


@dataclass(frozen=True, slots=True)
class Update:
    """A change, the position in the log at which it holds, and the id of the event that brought it.

    The id is empty if no event did.
    """

    change: Change
    position: int
    event_id: str = ""


class Watch:
    """A conference that is watched; open it by `Conferences.watch`.

    `accepted` holds the commands that are still to be taken in. `draining` turns true when the
    events have come to their end, although the conference has not.
    """

    def __init__(
        self,
        picture: ConferencePicture,
        events: EventStream,
        accepted: deque[AcceptedCommand],
        refresh: Refresh,
        time: TimeSource,
    ) -> None:
        self._picture = picture
        self._events = events
        self._accepted = accepted
        self._refresh = refresh
        self._time = time
        # When the gateway received the newest of the events in the picture.
        self._received_at = time.monotonic()
        self.draining = False

    @property
    def position(self) -> int:
        """The number of the last event that is in the state, or could not change it."""
        return self._events.position

    @property
    def has_ended(self) -> bool:
        """Whether the conference is over: nothing comes any more."""
        return self._picture.has_ended

    def snapshot(self) -> ConferenceState:
        """Return the whole state."""
        return self._picture.snapshot()

    def let_go(self) -> None:
        """End it: `draining` turns true when what has come so far has been given."""
        self._events.let_go()

    async def next(self, timeout: float) -> Sequence[Update]:
        """Return what changes next, or after `timeout` seconds nothing.

        Raises what the events' stream raises.
        """
        ends_at = self._time.monotonic() + timeout
        while True:
            updates = [*self._take_in_commands(), *self._take_in_response()]
            if updates:
                return updates
            wakes_at = min(ends_at, self._refresh.due_at)
            batch = await self._events.next(wakes_at - self._time.monotonic())
            updates = [update for event in batch.events for update in self._take_in(event)]
            self.draining = batch.draining
            if updates or self.draining or self._time.monotonic() >= ends_at:
                return updates

    def _take_in_commands(self) -> Iterable[Update]:
        commands = self._accepted.copy()
        self._accepted.clear()
        for command in commands:
            self._refresh.want(command.accepted_at)
            change = self._picture.learn(command.request)
            if change is not None:
                yield Update(change, self.position)

    def _take_in_response(self) -> Iterable[Update]:
        self._refresh.meet(self._picture.strangers, self._received_at)
        found = self._refresh.take()
        if found is not None:
            for change in self._picture.refresh(found.conference, list(found.participants)):
                yield Update(change, self.position)

    def _take_in(self, event: Event) -> Iterable[Update]:
        self._received_at = self._time.monotonic() - self._age_s(event)
        for change in self._picture.apply(event):
            yield Update(change, event.sequence, event.id)

    def _age_s(self, event: Event) -> float:
        """Return how long ago the gateway received an event, in seconds."""
        age = self._time.time() - event.received_at.ToMicroseconds() / 1e6
        return min(max(age, 0.0), _ON_ITS_WAY_MAX_S)
