"""Who is in a conference, and what a coming or going means for it."""

import uuid
from collections.abc import Mapping
from typing import Any

from gateway.sandbox import errors, events, sounds, waiting
from gateway.sandbox.errors import refusal
from gateway.sandbox.model import Call, Conference, EndReason, Participant, SupervisorRole
from gateway.sandbox.world import World

# Former participants of one conference that can still be retrieved.
_REMEMBERED_PARTICIPANTS_MAX = 1_000


def check_admission(conference: Conference, call: Call) -> None:
    """Raise RefusedError if the call cannot come into the conference."""
    if call.conference_id is not None:
        raise refusal(
            errors.ALREADY_IN_CONFERENCE,
            f"Call '{call.call_control_id}' is in conference '{call.conference_id}'. "
            "Let it leave there first.",
            "/call_control_id",
        )
    if not conference.accepts_joins:
        raise refusal(
            errors.CONFERENCE_CLOSED,
            f"Conference '{conference.id}' takes no new participants since one with "
            "soft_end_conference_on_exit left.",
        )
    if len(conference.present()) >= conference.max_participants:
        raise refusal(
            errors.CONFERENCE_FULL,
            f"Conference '{conference.id}' has its maximum of {conference.max_participants} "
            "participants.",
        )


def admit(world: World, conference: Conference, call: Call, body: Mapping[str, Any]) -> None:
    """Let the call in, as the parameters of a join command say."""
    check_admission(conference, call)
    waiting.dequeue(world, call, "bridged")
    now = world.clock.now()
    participant = Participant(
        id=str(uuid.uuid4()),
        call=call,
        joined_at=now,
        updated_at=now,
        muted=body.get("mute", False),
        on_hold=body.get("hold", False),
        end_conference_on_exit=body.get("end_conference_on_exit", False),
        soft_end_conference_on_exit=body.get("soft_end_conference_on_exit", False),
        beep_enabled=body.get("beep_enabled", conference.beep_enabled),
    )
    set_role(participant, body.get("supervisor_role", "none"), body)
    if not conference.started and not participant.on_hold:
        participant.on_hold = participant.held_until_start = True
    conference.participants[participant.id] = participant
    _forget_former(conference)
    conference.updated_at = now
    call.conference_id = conference.id
    world.emit(events.joined(conference, participant, now))
    if body.get("start_conference_on_enter", False):
        begin(world, conference)


def set_role(participant: Participant, role: SupervisorRole, body: Mapping[str, Any]) -> None:
    """Give a supervisor role. One who whispers to nobody in particular only listens."""
    whispers = tuple(body.get("whisper_call_control_ids") or ())
    if role == "whisper" and not whispers:
        role = "monitor"
    participant.supervisor_role = role
    participant.whisper_call_control_ids = whispers if role == "whisper" else ()


def begin(world: World, conference: Conference) -> None:
    """Start a conference that was waiting: those held for that reason come off hold."""
    if conference.started:
        return
    now = world.clock.now()
    conference.started = True
    conference.updated_at = now
    for participant in conference.present():
        if participant.held_until_start:
            participant.on_hold = participant.held_until_start = False
            participant.updated_at = now


def remove(world: World, conference: Conference, participant: Participant) -> None:
    """Take a participant out, and end the conference when that ends it."""
    _take_out(world, conference, participant)
    if participant.end_conference_on_exit:
        end(world, conference, "host_left", participant.call)
    elif not conference.present():
        end(world, conference, "all_left", participant.call)
    elif participant.soft_end_conference_on_exit:
        conference.accepts_joins = False


def end(
    world: World, conference: Conference, reason: EndReason, ended_by: Call | None = None
) -> None:
    """End the conference: recordings are saved and calls still in it are hung up."""
    if conference.ended_at is not None:
        return
    now = world.clock.now()
    if conference.expiry is not None:
        conference.expiry.cancel()
    # Set before anybody is taken out, so that the last one's leaving does not end it again.
    conference.ended_at = conference.updated_at = now
    conference.end_reason = reason
    conference.ended_by = ended_by
    sounds.stop(world, conference, lambda _: True)
    for participant in conference.present():
        _take_out(world, conference, participant)
        participant.call.ended_at = now
    world.emit(events.ended(conference, reason, now))
    for recording in list(conference.recordings.values()):
        world.emit(events.recording_saved(conference, recording, conference.client_state, now))
    conference.recordings.clear()


def hang_up(world: World, call: Call) -> None:
    """End a call: it leaves its conference, and its queue unless it is kept there."""
    if call.ended_at is not None:
        return
    call.ended_at = world.clock.now()
    if call.queue_name is not None:
        entry = world.queues[call.queue_name].calls[call.call_control_id]
        if not entry.keep_after_hangup:
            waiting.dequeue(world, call, "hangup")
    if call.conference_id is not None:
        conference = world.conferences[call.conference_id]
        participant = conference.find(call.call_control_id)
        if participant is not None:
            remove(world, conference, participant)


def dismiss(world: World, call: Call) -> None:
    """End a call as `hang_up` does, also where it is kept in a queue after that."""
    hang_up(world, call)
    waiting.dequeue(world, call, "hangup")


def _take_out(world: World, conference: Conference, participant: Participant) -> None:
    sounds.stop(world, conference, lambda sound: sound.audience is participant)
    now = world.clock.now()
    participant.present = False
    participant.updated_at = conference.updated_at = now
    participant.call.conference_id = None
    if conference.floor == participant.call.call_control_id:
        conference.floor = None
    world.emit(events.left(conference, participant, now))


def _forget_former(conference: Conference) -> None:
    former = [it.id for it in conference.participants.values() if not it.present]
    for old in former[: max(0, len(former) - _REMEMBERED_PARTICIPANTS_MAX)]:
        del conference.participants[old]
