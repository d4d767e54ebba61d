"""How the things of the sandbox look in REST responses: every field of the provider's schema."""

from typing import Any, TypeAlias

from gateway.sandbox.clock import timestamp
from gateway.sandbox.model import Call, Conference, Participant, Queue

# The body of a response.
Body: TypeAlias = dict[str, Any]

# The response to a command.
OK: Body = {"data": {"result": "ok"}}


def conference(it: Conference) -> Body:
    """Return a conference."""
    by = it.ended_by
    return {
        "id": it.id,
        "created_at": timestamp(it.created_at),
        "expires_at": timestamp(it.expires_at),
        "name": it.name,
        "record_type": "conference",
        "connection_id": it.connection_id,
        "end_reason": it.end_reason,
        "ended_by": {
            "call_control_id": by.call_control_id if by else None,
            "call_session_id": by.call_session_id if by else None,
        },
        "region": it.region,
        "status": it.status,
        "updated_at": timestamp(it.updated_at),
    }


def participant(it: Participant, within: Conference) -> Body:
    """Return a participant retrieved or updated on its own."""
    return _participant(it) | {"conference_id": within.id, "label": None}


def listed_participant(it: Participant, within: Conference) -> Body:
    """Return a participant in a list, which the provider does in a slightly different form."""
    return _participant(it) | {
        "conference": {"id": within.id, "name": within.name},
        "record_type": "participant",
    }


def queue(it: Queue, now: float) -> Body:
    """Return a queue as it is at `now`."""
    return {
        "id": it.id,
        "average_wait_time_secs": it.average_wait(now),
        "created_at": timestamp(it.created_at),
        "current_size": len(it.calls),
        "max_size": it.max_size,
        "name": it.name,
        "record_type": "queue",
        "updated_at": timestamp(it.updated_at),
    }


def queued_call(it: Queue, call: Call, now: float) -> Body:
    """Return a call in this queue as it is at `now`."""
    waiting = it.calls[call.call_control_id]
    return {
        "call_control_id": call.call_control_id,
        "call_leg_id": call.call_leg_id,
        "call_session_id": call.call_session_id,
        "connection_id": call.connection_id,
        "enqueued_at": timestamp(waiting.enqueued_at),
        "from": call.caller,
        "is_alive": call.ended_at is None,
        "queue_id": it.id,
        "queue_position": it.position(call.call_control_id),
        "record_type": "queue_call",
        "to": call.callee,
        "wait_time_secs": int(now - waiting.enqueued_at),
    }


def _participant(it: Participant) -> Body:
    return {
        "id": it.id,
        "call_control_id": it.call.call_control_id,
        "call_leg_id": it.call.call_leg_id,
        "created_at": timestamp(it.joined_at),
        "end_conference_on_exit": it.end_conference_on_exit,
        "muted": it.silent,
        "on_hold": it.on_hold,
        "soft_end_conference_on_exit": it.soft_end_conference_on_exit,
        "status": "joined" if it.present else "left",
        "updated_at": timestamp(it.updated_at),
        "whisper_call_control_ids": list(it.whisper_call_control_ids),
    }
