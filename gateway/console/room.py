"""A conference on the board."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from conferencing.v1.conference_pb2 import Conference
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import RecordingState
from gateway.conference.state import ConferencePicture
from gateway.console.standings import Standings

Value: TypeAlias = dict[str, Any]

# Commands of a conference that are remembered.
_COMMANDS_MAX = 50


@dataclass(slots=True)
class Room:
    """A conference, of whose events the first was at `since`. Times are milliseconds since 1970."""

    id: str
    since: int
    # The call that it was created from, if that is known.
    owner: str = ""
    ended: int | None = None
    _picture: ConferencePicture = field(init=False)
    _standings: Standings = field(default_factory=Standings)
    _came: dict[str, int] = field(default_factory=dict)
    _commands: deque[Value] = field(default_factory=lambda: deque(maxlen=_COMMANDS_MAX))

    def __post_init__(self) -> None:
        self._picture = ConferencePicture(Conference(id=self.id), [])

    def apply(self, event: Event, at: int) -> None:
        """Take in an event of this conference."""
        self.since = min(self.since, at)
        self._picture.apply(event)
        if self._picture.has_ended and self.ended is None:
            self.ended = at
        call = event.call_control_id
        if event.type.endswith(".created"):
            self.owner = call
        elif call and event.type.endswith(".joined"):
            self._came[call] = max(at, self._came.get(call, at))
        elif call and event.type.endswith(".left"):
            self._standings.left(call, at)

    def command(self, request: Message, at: int) -> None:
        """Take in a command that the provider has accepted."""
        self._picture.learn(request)
        self._standings.command(request, self._picture.present, at)
        self._note(request, at)

    def created_waiting(self, request: Message, at: int) -> None:
        """Take in the command that created it, and did not start it."""
        self._standings.wait_for_start()
        self._note(request, at)

    def value(self) -> Value:
        """Return it as the console shows it; what is said of its people is there where it is so."""
        picture = self._picture
        return {
            "id": self.id,
            "since": self.since,
            "ended": self.ended,
            "people": [self._person(call) for call in sorted(picture.present)],
            "recording": RecordingState.Name(picture.recording).removeprefix("RECORDING_STATE_"),
            "commands": list(self._commands),
        }

    def _person(self, call: str) -> Value:
        came = self._came.get(call, self.since)
        standing = self._standings.of(call, came)
        person: Value = {"call": call, "since": came}
        if standing.muted:
            person["muted"] = True
        if standing.on_hold:
            person["on_hold"] = True
        if standing.role:
            person["role"] = standing.role
        if call == self._picture.floor:
            # Who spoke last, which is not to speak: nobody hears who is muted or on hold.
            person["has_floor"] = True
            person["speaking"] = not (standing.muted or standing.on_hold)
        return person

    def _note(self, request: Message, at: int) -> None:
        name = request.DESCRIPTOR.name.removesuffix("Request")
        told = MessageToDict(request, preserving_proto_field_name=True)
        self._commands.append({"at": at, "rpc": name, "request": told})
