"""The state of a conference, built from what the provider says and from events in any order.

Webhooks come late, twice and in any order, so nothing here depends on the order of arrival: each
fact carries the time at which it became true, and the latest one holds. Of two facts of the same
time the later stage of life holds (left over joined, ended over started): the provider's clock is
too coarse to tell, and a thing that ended has begun.

A participant is known by its call. What names no call tells nothing of a participant, and a stage
of life that this version does not know tells nothing at all: neither is made up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.common_pb2 import SUPERVISOR_ROLE_UNSPECIFIED, SupervisorRole
from conferencing.v1.conference_pb2 import (
    CONFERENCE_STATUS_COMPLETED,
    PARTICIPANT_STATUS_JOINED,
    PARTICIPANT_STATUS_LEFT,
    Conference,
    Participant,
)
from conferencing.v1.conference_service_pb2 import (
    JoinConferenceRequest,
    PauseRecordingRequest,
    ResumeRecordingRequest,
    StartRecordingRequest,
    UpdateSupervisorRoleRequest,
)
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    RECORDING_STATE_ACTIVE,
    RECORDING_STATE_PAUSED,
    RECORDING_STATE_SAVED,
    ConferenceState,
    ParticipantState,
    RecordingState,
)

T = TypeVar("T")

# When, and which stage: compared as a whole.
_Since: TypeAlias = tuple[int, int]
_NEVER: _Since = (-1, 0)


@dataclass(slots=True)
class _Fact(Generic[T]):
    value: T
    since: _Since = _NEVER

    def learn(self, value: T, at: int, stage: int) -> bool:
        """Take a value over if it is the later one; tells whether that changed anything."""
        if (at, stage) <= self.since:
            return False
        self.since = (at, stage)
        changed = value != self.value
        self.value = value
        return changed


@dataclass(slots=True)
class _Member:
    details: Participant
    status: _Fact[int]
    playing: _Fact[bool] = field(default_factory=lambda: _Fact(False))
    speaking: _Fact[bool] = field(default_factory=lambda: _Fact(False))

    def state(self, role: SupervisorRole.ValueType) -> ParticipantState:
        participant = Participant()
        participant.CopyFrom(self.details)
        participant.status = self.status.value  # type: ignore[assignment]
        return ParticipantState(
            participant=participant,
            playing=self.playing.value,
            speaking=self.speaking.value,
            supervisor_role=role,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """What an event changed: the conference itself, or one participant of it."""

    conference: ConferenceState | None = None
    participant: ParticipantState | None = None


class ConferencePicture:
    """What is known of one conference."""

    def __init__(self, conference: Conference, participants: list[Participant]) -> None:
        self._conference = conference
        self._members: dict[str, _Member] = {}
        self._roles: dict[str, SupervisorRole.ValueType] = {}
        self._playing = _Fact(False)
        self._speaking = _Fact(False)
        self._floor = _Fact("")
        self._recording: _Fact[int] = _Fact(0)
        for participant in participants:
            if participant.call_control_id:
                self._refresh_member(participant)

    @property
    def has_ended(self) -> bool:
        """Whether the conference is over."""
        return self._conference.status == CONFERENCE_STATUS_COMPLETED

    @property
    def strangers(self) -> frozenset[str]:
        """The calls of participants whom only events have shown so far."""
        return frozenset(
            call
            for call, member in self._members.items()
            if not member.details.id and member.status.value == PARTICIPANT_STATUS_JOINED
        )

    @property
    def present(self) -> Iterator[str]:
        """The calls that are in the conference."""
        for call, member in self._members.items():
            if member.status.value == PARTICIPANT_STATUS_JOINED:
                yield call

    @property
    def floor(self) -> str:
        """The call that spoke last, empty until one has."""
        return self._floor.value

    @property
    def recording(self) -> RecordingState.ValueType:
        """The state of the recording."""
        return RecordingState.ValueType(self._recording.value)

    def snapshot(self) -> ConferenceState:
        """Return the whole state."""
        state = self._without_members()
        state.participants.extend(self._state(call) for call in sorted(self._members))
        return state

    def refresh(self, conference: Conference, participants: list[Participant]) -> list[Change]:
        """Take in what the provider says now; returns what that changed.

        Only this shows who is muted or on hold. It never takes back what an event reported later
        than the provider's own time stamp.
        """
        before = self._without_members()
        ended = self.has_ended
        self._conference.CopyFrom(conference)
        if ended:
            self._conference.status = CONFERENCE_STATUS_COMPLETED
        changes = []
        for participant in participants:
            if not participant.call_control_id:
                continue
            known = self._members.get(participant.call_control_id)
            state = self._state(participant.call_control_id) if known else None
            self._refresh_member(participant)
            now = self._state(participant.call_control_id)
            if now != state:
                changes.append(Change(participant=now))
        if self.has_ended and not ended:
            changes += self._everybody_left(_nanoseconds(conference.updated_at))
        if self._without_members() != before:
            changes.append(Change(conference=self._without_members()))
        return changes

    def learn(self, request: Message) -> Change | None:
        """Take in a command that the provider accepted, where no event and no query tells of it."""
        match request:
            case JoinConferenceRequest() | UpdateSupervisorRoleRequest():
                call, role = request.call_control_id, request.supervisor_role
                known = call in self._members and self._roles.get(call, 0) != role
                # Kept for whoever has not been seen yet: a command comes back before its event.
                self._roles[call] = role
                return Change(participant=self._state(call)) if known else None
            case StartRecordingRequest() | ResumeRecordingRequest():
                return self._recorded(RECORDING_STATE_ACTIVE)
            case PauseRecordingRequest():
                return self._recorded(RECORDING_STATE_PAUSED)
        return None

    def _state(self, call: str) -> ParticipantState:
        role = self._roles.get(call, SUPERVISOR_ROLE_UNSPECIFIED)
        return self._members[call].state(role)

    def _recorded(self, state: int) -> Change | None:
        if self._recording.value == state:
            return None
        # A recording that is saved later says so with its own time; one saved before does not
        # take this back, for commands have no time but now.
        self._recording = _Fact(state, (self._recording.since[0] + 1, 0))
        return Change(conference=self._without_members())

    def _refresh_member(self, participant: Participant) -> _Member:
        since = (_nanoseconds(participant.updated_at), 0)
        member = self._members.get(participant.call_control_id)
        if member is None:
            member = _Member(participant, _Fact(int(participant.status), since))
            self._members[participant.call_control_id] = member
            return member
        member.details = participant
        member.status.learn(int(participant.status), *since)
        return member

    def apply(self, event: Event) -> list[Change]:
        """Take in an event of this conference; returns what it changed."""
        if event.type == "conference.ended":
            return self._ended(event)
        change = self._change_of(event)
        return [] if change is None else [change]

    def _change_of(self, event: Event) -> Change | None:
        at = _nanoseconds(event.occurred_at) or _nanoseconds(event.received_at)
        match event.type.split("."):
            case ["conference", "participant" | "floor", *_] if not event.call_control_id:
                return None
            case ["conference", "participant", ("joined" | "left") as what]:
                return self._came_or_went(event, at, what == "joined")
            case [
                "conference",
                "participant",
                ("playback" | "speak") as what,
                ("started" | "ended") as stage,
            ]:
                member = self._member(event)
                fact = member.playing if what == "playback" else member.speaking
                changed = fact.learn(stage == "started", at, int(stage == "ended"))
                return Change(participant=self._state(event.call_control_id)) if changed else None
            case ["conference", ("playback" | "speak") as what, ("started" | "ended") as stage]:
                fact = self._playing if what == "playback" else self._speaking
                return self._changed(fact.learn(stage == "started", at, int(stage == "ended")))
            case ["conference", "floor", "changed"]:
                return self._changed(self._floor.learn(event.call_control_id, at, 0))
            case ["conference", "recording", "saved"]:
                return self._changed(self._recording.learn(RECORDING_STATE_SAVED, at, 1))
        return None

    def _came_or_went(self, event: Event, at: int, came: bool) -> Change | None:
        known = event.call_control_id in self._members
        member = self._member(event)
        # Nobody is in a conference that has ended: whoever is reported now was in it.
        stays = came and not self.has_ended
        status = PARTICIPANT_STATUS_JOINED if stays else PARTICIPANT_STATUS_LEFT
        changed = member.status.learn(status, at, int(not came))
        return (
            Change(participant=self._state(event.call_control_id)) if changed or not known else None
        )

    def _ended(self, event: Event) -> list[Change]:
        if self.has_ended:
            return []
        self._conference.status = CONFERENCE_STATUS_COMPLETED
        self._conference.end_reason = event.conference_ended.reason
        left = self._everybody_left(_nanoseconds(event.occurred_at))
        return [*left, Change(conference=self._without_members())]

    def _everybody_left(self, at: int) -> list[Change]:
        # Nobody is in a conference that has ended, whether or not each leaving was reported.
        return [
            Change(participant=self._state(call))
            for call, member in self._members.items()
            if member.status.value != PARTICIPANT_STATUS_LEFT
            and member.status.learn(PARTICIPANT_STATUS_LEFT, max(at, member.status.since[0]), 2)
        ]

    def _changed(self, changed: bool) -> Change | None:
        return Change(conference=self._without_members()) if changed else None

    def _member(self, event: Event) -> _Member:
        member = self._members.get(event.call_control_id)
        if member is None:
            details = Participant(
                call_control_id=event.call_control_id,
                call_leg_id=event.call_leg_id,
                conference_id=event.conference_id,
            )
            member = self._members[event.call_control_id] = _Member(details, _Fact(0))
        return member

    def _without_members(self) -> ConferenceState:
        return ConferenceState(
            conference=self._conference,
            playing=self._playing.value,
            speaking=self._speaking.value,
            floor_call_control_id=self._floor.value,
            recording=self.recording,
        )


def _nanoseconds(moment: Timestamp) -> int:
    return moment.seconds * 1_000_000_000 + moment.nanos
