"""Standings: who is muted, on hold or supervises in one conference, as accepted commands say.

No event says any of this. Commands and events come in any order, and at times by two clocks: a
command counts from when the provider accepted it, by the gateway's clock, and an event from when it
happened, by the provider's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from conferencing.v1.common_pb2 import SupervisorRole
from conferencing.v1.conference_service_pb2 import (
    HoldParticipantsRequest,
    JoinConferenceRequest,
    MuteParticipantsRequest,
    UnholdParticipantsRequest,
    UnmuteParticipantsRequest,
    UpdateSupervisorRoleRequest,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a participant takes part. `role` is empty for an ordinary one."""

    muted: bool
    on_hold: bool
    role: str


@dataclass(slots=True)
class Standings:
    """Those of one conference. Times are milliseconds since 1970."""

    # What commands said of a call, and when; of holding None if it is held as the conference is.
    _muted: dict[str, tuple[bool, int]] = field(default_factory=dict)
    _held: dict[str, tuple[bool | None, int]] = field(default_factory=dict)
    # Its role, and whether that has nobody hear it.
    _roles: dict[str, tuple[tuple[str, bool], int]] = field(default_factory=dict)
    # When everybody was muted and put on hold: that is so, too, for whoever came before that, and
    # whose coming is not known yet.
    _all_muted_at: int = -1
    _all_held_at: int = -1
    # Everybody is on hold until a participant comes who starts the conference.
    _waits_for_start: bool = False
    _has_started: bool = False

    def wait_for_start(self) -> None:
        """Take in that the conference was created without being started."""
        self._waits_for_start = True

    def command(self, request: Message, present: Iterable[str], at: int) -> None:
        """Take in a command; `present` are the calls that are known to be in the conference."""
        match request:
            case JoinConferenceRequest():
                call = request.call_control_id
                self._muted[call] = request.mute, at
                self._held[call] = request.hold or None, at
                self._roles[call] = _role(request), at
                self._has_started |= request.start_conference_on_enter
            case UpdateSupervisorRoleRequest():
                self._roles[request.call_control_id] = _role(request), at
            case MuteParticipantsRequest() | UnmuteParticipantsRequest():
                muted = isinstance(request, MuteParticipantsRequest)
                if not request.call_control_ids:
                    self._all_muted_at = at if muted else -1
                for call in request.call_control_ids or {*present, *self._muted}:
                    self._muted[call] = muted, at
            case HoldParticipantsRequest():
                if not request.call_control_ids:
                    self._all_held_at = at
                for call in request.call_control_ids or {*present, *self._held}:
                    self._held[call] = True, at
            case UnholdParticipantsRequest():
                for call in request.call_control_ids:
                    self._held[call] = False, at

    def left(self, call: str, at: int) -> None:
        """Take in that a call has left: what was said of it before is over."""
        facts: tuple[dict[str, tuple[Any, int]], ...] = (self._muted, self._held, self._roles)
        for known in facts:
            if call in known and known[call][1] <= at:
                del known[call]

    def of(self, call: str, came: int) -> Standing:
        """Return how a call that came at some time takes part."""
        role, only_listens = self._roles.get(call, (("", False), 0))[0]
        muted = self._muted.get(call, (came <= self._all_muted_at, 0))[0]
        held = self._held.get(call, (True if came <= self._all_held_at else None, 0))[0]
        if held is None:
            held = self._waits_for_start and not self._has_started
        return Standing(muted or only_listens, held, role)


def _role(request: JoinConferenceRequest | UpdateSupervisorRoleRequest) -> tuple[str, bool]:
    """Return a role as it is shown, and whether it has nobody hear the participant."""
    whispers_to_nobody = not request.whisper_call_control_ids
    match request.supervisor_role:
        case SupervisorRole.SUPERVISOR_ROLE_BARGE:
            return "barge", False
        case SupervisorRole.SUPERVISOR_ROLE_MONITOR:
            return "monitor", True
        case SupervisorRole.SUPERVISOR_ROLE_WHISPER:
            return "whisper", whispers_to_nobody
    return "", False
