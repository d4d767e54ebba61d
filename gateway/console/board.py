"""The board: every conference and queue as the events tell it, as values that JSON can hold.

No event says who is muted or on hold: that is known from the commands that gateways on this log
have sent, and for a conference that somebody has opened, from the provider.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from conferencing.v1.conference_service_pb2 import CreateConferenceRequest
from conferencing.v1.event_pb2 import Event
from gateway.conference.ports import CONFERENCE_KEY
from gateway.console.encoding import Encoded, encoded
from gateway.console.room import Room, Value

# Conferences that are shown: more than anybody can look at. Those without news for longest go.
CONFERENCES_MAX = 5_000
# How long a conference that has ended stays, in milliseconds: long enough to see that it has.
ENDED_SHOWN_MS = 10 * 60_000
# How much earlier than its command a conference may seem to be created, in milliseconds: a response
# takes its time, and the provider's clock is another one.
_CREATED_BEFORE_MS = 60_000
# Conferences of which there are commands and no events yet: responses overtake webhooks, by seconds
# at most.
_EARLY_MAX = 500


class Board:
    """Takes in events in any order, and commands; knows what has changed since it was last asked.

    Times are milliseconds since 1970.
    """

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        # Conferences of which there are commands alone, which are not shown; and commands that
        # created one without starting it, by call, whose conference no event has named yet.
        self._early: OrderedDict[str, Room] = OrderedDict()
        self._creating: OrderedDict[str, tuple[CreateConferenceRequest, int]] = OrderedDict()
        # By queue and call: since when it waits, and the time of the latest event about it.
        self._waiting: dict[str, dict[str, tuple[int | None, int]]] = {}
        self.changed: set[tuple[str, str]] = set()
        # What has been encoded, by kind and name, until it changes: once for all who look.
        self._encoded: dict[tuple[str, str], Encoded] = {}

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
        self._early.clear()
        self._creating.clear()
        self._waiting.clear()
        self._encoded.clear()
        self.changed.clear()

    def command(self, request: Message, at: int) -> None:
        """Take in a command that the provider has accepted."""
        if isinstance(request, CreateConferenceRequest):
            self._create(request, at)
            return
        id_ = getattr(request, CONFERENCE_KEY, "")
        if not id_:
            return
        room = self._rooms.get(id_)
        if room is not None:
            room.command(request, at)
            self._change("conference", id_)
            return
        self._early.setdefault(id_, Room(id_, at)).command(request, at)
        _keep_newest(self._early, id_)

    def forget(self, now: int) -> None:
        """Let go of conferences that ended some time ago."""
        for room in tuple(self._rooms.values()):
            if room.ended is not None and room.ended < now - ENDED_SHOWN_MS:
                self._drop(room.id)

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

    def encoded(self, kind: str, name: str) -> Encoded | None:
        """Return a conference or a queue in JSON; None if it is not shown any more."""
        known = self._encoded.get((kind, name))
        if known is None:
            value = self.conference(name) if kind == "conference" else self.queue(name)
            if value is None:
                return None
            known = self._encoded[kind, name] = encoded(value)
        return known

    def everything(self) -> dict[str, list[Encoded]]:
        """Return all conferences and queues in JSON; conferences with news last come last."""
        conferences = (self.encoded("conference", it) for it in self._rooms)
        queues = (self.encoded("queue", it) for it in sorted(self._waiting))
        return {
            "conferences": [it for it in conferences if it is not None],
            "queues": [it for it in queues if it is not None],
        }

    def take_changes(self) -> set[tuple[str, str]]:
        """Return what has changed since the last time, as kind and name."""
        changed, self.changed = self.changed, set()
        return changed

    def _create(self, request: CreateConferenceRequest, at: int) -> None:
        """Take in a command whose conference an event names, before this or after it."""
        starts = request.start_conference_on_create
        if starts or not request.HasField("start_conference_on_create"):
            return
        call = request.call_control_id
        for room in reversed(self._rooms.values()):
            if room.owner == call and room.ended is None and room.since > at - _CREATED_BEFORE_MS:
                room.created_waiting(request, at)
                self._change("conference", room.id)
                return
        self._creating[call] = (request, at)
        _keep_newest(self._creating, call)

    def _conference(self, event: Event, at: int) -> None:
        room = self._rooms.get(event.conference_id)
        if room is None:
            room = self._early.pop(event.conference_id, None) or Room(event.conference_id, at)
            self._rooms[room.id] = room
            if len(self._rooms) > CONFERENCES_MAX:
                self._drop(next(iter(self._rooms)))
        room.apply(event, at)
        if event.type == "conference.created":
            request, asked_at = self._creating.get(event.call_control_id, (None, 0))
            if request is not None and at > asked_at - _CREATED_BEFORE_MS:
                room.created_waiting(request, asked_at)
                del self._creating[event.call_control_id]
        self._rooms.move_to_end(room.id)
        self._change("conference", room.id)

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
        self._change("queue", event.queue_name)

    def _change(self, kind: str, name: str) -> None:
        self.changed.add((kind, name))
        self._encoded.pop((kind, name), None)

    def _drop(self, id_: str) -> None:
        del self._rooms[id_]
        self._change("conference", id_)


# Calls that have left a queue are remembered, because the webhook of their coming may be late.
_GONE_MAX = 1_000


def _forget_gone(calls: dict[str, tuple[int | None, int]]) -> None:
    if len(calls) > _GONE_MAX:
        gone = [call for call, (since, _) in calls.items() if since is None]
        for call in gone[: len(gone) // 2]:
            del calls[call]


def _keep_newest(early: OrderedDict[str, Any], name: str) -> None:
    early.move_to_end(name)
    if len(early) > _EARLY_MAX:
        early.popitem(last=False)


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
