"""The things of the sandbox: calls, conferences, participants, recordings, queues.

All of them live and change on the event loop only. Times are sandbox seconds since the epoch.
"""

from dataclasses import dataclass, field
from typing import Literal

from gateway.sandbox.clock import Timer

EndReason = Literal["all_left", "ended_via_api", "host_left", "time_exceeded"]
DequeueReason = Literal["bridged", "bridging-in-process", "hangup", "leave", "timeout"]
SupervisorRole = Literal["barge", "monitor", "none", "whisper"]


@dataclass(slots=True)
class Call:
    """One call leg."""

    call_control_id: str
    call_leg_id: str
    call_session_id: str
    connection_id: str
    caller: str
    callee: str
    created_at: float
    ended_at: float | None = None
    client_state: str | None = None
    # The conference it is in now.
    conference_id: str | None = None
    # The queue it is in now; a call kept after its hang-up still has one.
    queue_name: str | None = None


@dataclass(slots=True)
class Participant:
    """A call's stay in a conference. A call that leaves and joins again is a new participant."""

    id: str
    call: Call
    joined_at: float
    updated_at: float
    muted: bool = False
    on_hold: bool = False
    # On hold only because the conference has not started: released when it does.
    held_until_start: bool = False
    end_conference_on_exit: bool = False
    soft_end_conference_on_exit: bool = False
    beep_enabled: str = "never"
    supervisor_role: SupervisorRole = "none"
    whisper_call_control_ids: tuple[str, ...] = ()
    present: bool = True

    @property
    def silent(self) -> bool:
        """Whether nobody hears this participant: muted, or listening in as a monitor."""
        return self.muted or self.supervisor_role == "monitor"


@dataclass(slots=True, eq=False)
class Sound:
    """Speech or playback that is being heard. Two equal sounds are still two."""

    kind: Literal["playback", "speak"]
    # The one who hears it; None means the whole conference.
    audience: Participant | None
    media_url: str | None = None
    media_name: str | None = None
    # Ends it; None for one that runs until it is stopped.
    timer: Timer | None = None


@dataclass(slots=True)
class Recording:
    """A recording in progress."""

    id: str
    format: str
    channels: str
    started_at: float
    custom_file_name: str | None = None
    paused: bool = False


@dataclass(slots=True)
class Conference:
    """A conference, in progress or over."""

    id: str
    name: str
    # The call it was created with.
    owner: Call
    connection_id: str
    region: str
    created_at: float
    updated_at: float
    expires_at: float
    max_participants: int
    beep_enabled: str
    client_state: str | None
    started: bool
    accepts_joins: bool = True
    ended_at: float | None = None
    end_reason: EndReason | None = None
    ended_by: Call | None = None
    # Call control id of the one who spoke last.
    floor: str | None = None
    expiry: Timer | None = None
    # By participant id, in order of joining, those who left included.
    participants: dict[str, Participant] = field(default_factory=dict)
    sounds: list[Sound] = field(default_factory=list)
    recordings: dict[str, Recording] = field(default_factory=dict)

    @property
    def status(self) -> Literal["init", "in_progress", "completed"]:
        """How far the conference has come, in the provider's words."""
        if self.ended_at is not None:
            return "completed"
        return "in_progress" if self.started else "init"

    def present(self) -> list[Participant]:
        """Return those in the conference now, in order of joining."""
        return [it for it in self.participants.values() if it.present]

    def find(self, call_control_id: str) -> Participant | None:
        """Return the participant that this call is now, None if it is none."""
        for participant in self.participants.values():
            if participant.present and participant.call.call_control_id == call_control_id:
                return participant
        return None


@dataclass(slots=True)
class QueuedCall:
    """A call's wait in a queue."""

    call: Call
    enqueued_at: float
    client_state: str | None
    keep_after_hangup: bool
    deadline: Timer | None = None


@dataclass(slots=True)
class Queue:
    """A queue; its calls stand in order of arrival."""

    id: str
    name: str
    max_size: int
    created_at: float
    updated_at: float
    # By call control id, first in line first.
    calls: dict[str, QueuedCall] = field(default_factory=dict)

    def position(self, call_control_id: str) -> int:
        """Return the position in line; 1 is next."""
        return list(self.calls).index(call_control_id) + 1

    def average_wait(self, now: float) -> int:
        """Return the whole seconds that the calls in the queue have waited on average."""
        if not self.calls:
            return 0
        waited = sum(now - it.enqueued_at for it in self.calls.values())
        return int(waited / len(self.calls))
