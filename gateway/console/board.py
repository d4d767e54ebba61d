"""The board: every conference and queue as the events tell it, as values that JSON can hold.

No event says who is muted or on hold: that is known from the commands that gateways on this log
have sent, and for a conference that somebody has opened, from the provider.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from conferencing.v1.conference_pb2 import PARTICIPANT_STATUS_JOINED, Conference
from conferencing.v1.conference_service_pb2 import (
    HoldParticipantsRequest,
    MuteParticipantsRequest,
    UnholdParticipantsRequest,
    UnmuteParticipantsRequest,
)
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import RecordingState
from gateway.conference.ports import CONFERENCE_KEY
from gateway.conference.state import ConferencePicture

Value: TypeAlias = dict[str, Any]

# Conferences that are shown: more than anybody can look at. Those without news for longest go.
CONFERENCES_MAX = 5_000
# How long a conference that has ended stays, in milliseconds: long enough to see that it has.
ENDED_SHOWN_MS = 10 * 60_000
# Commands of a conference that are remembered.
_COMMANDS_MAX = 50


@dataclass(slots=True)
class _Room:
    """A conference. Times are milliseconds since 1970."""

    id: str
    since: int
    picture: ConferencePicture
    ended: int | None = None
    came: dict[str, int] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    commands: deque[Value] = field(default_factory=lambda: deque(maxlen=_COMMANDS_MAX))

    def value(self) -> Value:
        state = self.picture.snapshot()
        people = []
        for it in state.participants:
            call = it.participant.call_control_id
            if it.participant.status != PARTICIPANT_STATUS_JOINED:
                continue
            people.append(
                {
                    "call": call,
                    "since": self.came.get(call, self.since),
                    "muted": call in self.muted,
                    "on_hold": call in self.held,
                    "speaking": call == state.floor_call_control_id,
                    "hears_audio": it.playing or it.speaking,
                }
            )
        return {
            "id": self.id,
            "since": self.since,
            "ended": self.ended,
            "people": people,
            "recording": RecordingState.Name(state.recording).removeprefix("RECORDING_STATE_"),
            "hears_audio": state.playing or state.speaking,
            "commands": list(self.commands),
        }


class Board:
    """Takes in events in any order, and commands; knows what has changed since it was last asked.

    Times are milliseconds since 1970.
    """

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, _Room] = OrderedDict()
        # By queue and call: since when it waits, and the time of the latest event about it.
        self._waiting: dict[str, dict[str, tuple[int | None, int]]] = {}
        self.changed: set[tuple[str, str]] = set()

    def apply(self, event: Event) -> None:
        """Take in an event."""
        at = _milliseconds(event)
        if event.conference_id and event.type.startswith("conference."):
            self._conference(event, at)
        elif event.queue_name and event.type in ("call.enqueued", "call.dequeued"):
            self._queue(event, at)

    def clear(self) -> None:
        """Forget everything."""
        self._rooms.clear()
        self._waiting.clear()
        self.changed.clear()

    def command(self, request: Message, at: int) -> None:
        """Take in a command that the provider has accepted."""
        room = self._rooms.get(getattr(request, CONFERENCE_KEY, ""))
        if room is None:
            return
        room.picture.learn(request)
        match request:
            case MuteParticipantsRequest():
                room.muted.update(_meant(request.call_control_ids, room))
            case UnmuteParticipantsRequest():
                room.muted.difference_update(_meant(request.call_control_ids, room))
            case HoldParticipantsRequest():
                room.held.update(_meant(request.call_control_ids, room))
            case UnholdParticipantsRequest():
                room.held.difference_update(_meant(request.call_control_ids, room))
        name = request.DESCRIPTOR.name.removesuffix("Request")
        told = MessageToDict(request, preserving_proto_field_name=True)
        room.commands.append({"at": at, "rpc": name, "request": told})
        self.changed.add(("conference", room.id))

    def forget(self, now: int) -> None:
        """Let go of conferences that ended some time ago."""
        for room in tuple(self._rooms.values()):
            if room.ended is not None and room.ended < now - ENDED_SHOWN_MS:
                self._drop(room.id)

    def conferences(self) -> list[Value]:
        """Return all conferences; those with news last come last."""
        return [room.value() for room in self._rooms.values()]

    def queues(self) -> list[Value]:
        """Return all queues in which somebody waits."""
        found = (self.queue(name) for name in sorted(self._waiting))
        return [it for it in found if it is not None]

    def conference(self, id_: str) -> Value | None:
        """Return a conference, None if it is not shown any more."""
        room = self._rooms.get(id_)
        return None if room is None else room.value()

    def queue(self, name: str) -> Value | None:
        """Return a queue, None if nobody waits in it."""
        waiting = [
            {"call": call, "since": since}
            for call, (since, _) in self._waiting.get(name, {}).items()
            if since is not None
        ]
        if not waiting:
            return None
        return {"name": name, "waiting": sorted(waiting, key=lambda it: str(it["since"]))}

    def take_changes(self) -> set[tuple[str, str]]:
        """Return what has changed since the last time, as kind and name."""
        changed, self.changed = self.changed, set()
        return changed

    def _conference(self, event: Event, at: int) -> None:
        room = self._rooms.get(event.conference_id)
        if room is None:
            picture = ConferencePicture(Conference(id=event.conference_id), [])
            room = self._rooms[event.conference_id] = _Room(event.conference_id, at, picture)
            if len(self._rooms) > CONFERENCES_MAX:
                self._drop(next(iter(self._rooms)))
        room.since = min(room.since, at)
        room.picture.apply(event)
        if room.picture.has_ended and room.ended is None:
            room.ended = at
        if event.call_control_id and event.type.endswith(".joined"):
            room.came[event.call_control_id] = at
        elif event.call_control_id and event.type.endswith(".left"):
            room.muted.discard(event.call_control_id)
            room.held.discard(event.call_control_id)
        self._rooms.move_to_end(room.id)
        self.changed.add(("conference", room.id))

    def _queue(self, event: Event, at: int) -> None:
        calls = self._waiting.setdefault(event.queue_name, {})
        known = calls.get(event.call_control_id)
        came = event.type == "call.enqueued"
        # Webhooks come in any order: the latest by its own time holds, and of two the leaving.
        if known is not None and (known[1] > at or (known[1] == at and came)):
            return
        calls[event.call_control_id] = (at if came else None, at)
        if not came:
            _forget_gone(calls)
        self.changed.add(("queue", event.queue_name))

    def _drop(self, id_: str) -> None:
        del self._rooms[id_]
        self.changed.add(("conference", id_))


# Calls that have left a queue are remembered, because the webhook of their coming may be late.
_GONE_MAX = 1_000


def _forget_gone(calls: dict[str, tuple[int | None, int]]) -> None:
    if len(calls) > _GONE_MAX:
        gone = [call for call, (since, _) in calls.items() if since is None]
        for call in gone[: len(gone) // 2]:
            del calls[call]


def _meant(calls: Iterable[str], room: _Room) -> Iterable[str]:
    """Return the calls that a command names: none stand for all."""
    named = list(calls)
    return named or list(room.came)


def _milliseconds(event: Event) -> int:
    moment = event.occurred_at if event.HasField("occurred_at") else event.received_at
    return int(moment.ToMilliseconds())


def event_value(event: Event) -> Value:
    """Return an event without its payload, for a list of events."""
    keys: Mapping[str, str] = {
        "conference": event.conference_id,
        "call": event.call_control_id,
        "queue": event.queue_name,
    }
    return {
        "sequence": event.sequence,
        "id": event.id,
        "type": event.type,
        "at": _milliseconds(event),
        **{name: value for name, value in keys.items() if value},
    }
