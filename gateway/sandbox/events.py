"""The sixteen webhooks: what each of them says.

Where an event carries the moment it happened differs by event, as at the provider: queue events
and participants' coming and going have it in `data`, other conference events in the payload,
and a saved recording has the start and end of the recording instead.
"""

import uuid
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.clock import timestamp
from gateway.sandbox.model import (
    Call,
    Conference,
    DequeueReason,
    EndReason,
    Participant,
    Queue,
    QueuedCall,
    Recording,
    Sound,
)

_WEBHOOK_END_REASONS: dict[EndReason, str] = {
    "all_left": "all_left",
    "host_left": "host_left",
    "time_exceeded": "time_exceeded",
    # The webhook knows three reasons, the conference itself four. When a conference is ended by
    # command its participants are made to leave first, so this is the one that fits.
    "ended_via_api": "all_left",
}

# All that there are.
EVENT_TYPES = frozenset(
    {
        "call.dequeued",
        "call.enqueued",
        "conference.created",
        "conference.ended",
        "conference.floor.changed",
        "conference.participant.joined",
        "conference.participant.left",
        "conference.participant.playback.ended",
        "conference.participant.playback.started",
        "conference.participant.speak.ended",
        "conference.participant.speak.started",
        "conference.playback.ended",
        "conference.playback.started",
        "conference.recording.saved",
        "conference.speak.ended",
        "conference.speak.started",
    }
)

# Host of recording addresses; the reserved top-level name makes sure that nothing is there.
_RECORDINGS_URL = "https://recordings.sandbox.invalid"


@dataclass(frozen=True, slots=True)
class Event:
    """One webhook, before anything about its delivery is known."""

    id: str
    type: str
    data: dict[str, Any]


def enqueued(queue: Queue, waiting: QueuedCall, now: float) -> Event:
    """Return the event of a call that was put in a queue."""
    payload = _call(waiting.call) | {
        "client_state": waiting.client_state,
        "current_position": queue.position(waiting.call.call_control_id),
        "queue": queue.name,
        "queue_avg_wait_time_secs": queue.average_wait(now),
    }
    return _event("call.enqueued", payload, outside=now)


def dequeued(
    queue: Queue, waiting: QueuedCall, position: int, reason: DequeueReason, now: float
) -> Event:
    """Return the event of a call that left a queue; `position` is where it stood."""
    payload = _call(waiting.call) | {
        "client_state": waiting.client_state,
        "queue": queue.name,
        "queue_position": position,
        "reason": reason,
        "wait_time_secs": int(now - waiting.enqueued_at),
    }
    return _event("call.dequeued", payload, outside=now)


def created(conference: Conference, now: float) -> Event:
    """Return the event of a conference that was created."""
    return _event("conference.created", _about(conference, conference.owner), inside=now)


def ended(conference: Conference, reason: EndReason, now: float) -> Event:
    """Return the event of an ended conference: it names the call that ended it, or the owner's."""
    payload = _about(conference, conference.ended_by or conference.owner)
    payload["reason"] = _WEBHOOK_END_REASONS[reason]
    return _event("conference.ended", payload, inside=now)


def floor_changed(conference: Conference, speaker: Participant, now: float) -> Event:
    """Return the event of another speaker."""
    return _event("conference.floor.changed", _about(conference, speaker.call), inside=now)


def joined(conference: Conference, participant: Participant, now: float) -> Event:
    """Return the event of a call that joined."""
    payload = _about(conference, participant.call)
    return _event("conference.participant.joined", payload, outside=now)


def left(conference: Conference, participant: Participant, now: float) -> Event:
    """Return the event of a participant that left."""
    payload = _about(conference, participant.call)
    return _event("conference.participant.left", payload, outside=now)


def sound_started(conference: Conference, sound: Sound, now: float) -> Event:
    """Return the event of speech or playback that began."""
    return _sound(conference, sound, "started", now)


def sound_ended(conference: Conference, sound: Sound, now: float) -> Event:
    """Return the event of speech or playback that is over."""
    return _sound(conference, sound, "ended", now)


def recording_saved(
    conference: Conference, recording: Recording, client_state: str | None, now: float
) -> Event:
    """Return the event of a recording that can be fetched."""
    name = recording.custom_file_name or conference.owner.call_leg_id
    file = f"{name}-{int(now)}.{recording.format}"
    # Both formats are always named; only the one recorded has an address.
    urls = {"mp3": None, "wav": None, recording.format: f"{_RECORDINGS_URL}/{file}"}
    public = {"mp3": None, "wav": None, recording.format: f"{_RECORDINGS_URL}/public/{file}"}
    payload = {
        "call_control_id": conference.owner.call_control_id,
        "call_session_id": conference.owner.call_session_id,
        "channels": recording.channels,
        "client_state": client_state,
        "conference_id": conference.id,
        "connection_id": conference.connection_id,
        "format": recording.format,
        "public_recording_urls": public,
        "recording_ended_at": timestamp(now),
        "recording_id": recording.id,
        "recording_started_at": timestamp(recording.started_at),
        "recording_urls": urls,
    }
    return _event("conference.recording.saved", payload)


def _sound(conference: Conference, sound: Sound, turn: str, now: float) -> Event:
    payload: dict[str, Any] = {
        "conference_id": conference.id,
        "connection_id": conference.connection_id,
        "creator_call_session_id": conference.owner.call_session_id,
    }
    scope = "conference"
    if sound.audience is not None:
        scope = "conference.participant"
        payload |= _about(conference, sound.audience.call)
    if sound.kind == "playback":
        payload |= {"media_name": sound.media_name, "media_url": sound.media_url}
    return _event(f"{scope}.{sound.kind}.{turn}", payload, inside=now)


def _about(conference: Conference, call: Call) -> dict[str, Any]:
    return _call(call) | {
        "client_state": conference.client_state,
        "conference_id": conference.id,
        "connection_id": conference.connection_id,
    }


def _call(call: Call) -> dict[str, Any]:
    return {
        "call_control_id": call.call_control_id,
        "call_leg_id": call.call_leg_id,
        "call_session_id": call.call_session_id,
        "connection_id": call.connection_id,
    }


def _event(
    kind: str,
    payload: dict[str, Any],
    *,
    inside: float | None = None,
    outside: float | None = None,
) -> Event:
    data: dict[str, Any] = {"id": str(uuid.uuid4()), "event_type": kind}
    if outside is not None:
        data["occurred_at"] = timestamp(outside)
    if inside is not None:
        payload["occurred_at"] = timestamp(inside)
    return Event(data["id"], kind, data | {"payload": payload, "record_type": "event"})
