"""How the things of the sandbox look in REST answers: every field of the provider's schema."""

from __future__ import annotations

from typing import Any

from gateway.sandbox.clock import timestamp
from gateway.sandbox.model import Call, Conference, Participant, Queue

OK: dict[str, Any] = {"data": {"result": "ok"}}
"""The answer to a command."""


def conference(one: Conference) -> dict[str, Any]:
    """Show a conference."""
    by = one.ended_by
    return {
        "id": one.id,
        "created_at": timestamp(one.created_at),
        "expires_at": timestamp(one.expires_at),
        "name": one.name,
        "record_type": "conference",
        "connection_id": one.connection_id,
        "end_reason": one.end_reason,
        "ended_by": {
            "call_control_id": by.call_control_id if by else None,
            "call_session_id": by.call_session_id if by else None,
        },
        "region": one.region,
        "status": one.status,
        "updated_at": timestamp(one.updated_at),
    }


def participant(one: Participant, within: Conference) -> dict[str, Any]:
    """Show a participant retrieved or updated on its own."""
    return _participant(one) | {"conference_id": within.id, "label": None}


def listed_participant(one: Participant, within: Conference) -> dict[str, Any]:
    """Show a participant in a list, which the provider does in a slightly different form."""
    return _participant(one) | {
        "conference": {"id": within.id, "name": within.name},
        "record_type": "participant",
    }


def queue(one: Queue, now: float) -> dict[str, Any]:
    """Show a queue as it is at ``now``."""
    return {
        "id": one.id,
        "average_wait_time_secs": one.average_wait(now),
        "created_at": timestamp(one.created_at),
        "current_size": len(one.calls),
        "max_size": one.max_size,
        "name": one.name,
        "record_type": "queue",
        "updated_at": timestamp(one.updated_at),
    }


def queued_call(one: Queue, call: Call, now: float) -> dict[str, Any]:
    """Show a call in this queue as it is at ``now``."""
    waiting = one.calls[call.call_control_id]
    return {
        "call_control_id": call.call_control_id,
        "call_leg_id": call.call_leg_id,
        "call_session_id": call.call_session_id,
        "connection_id": call.connection_id,
        "enqueued_at": timestamp(waiting.enqueued_at),
        "from": call.caller,
        "is_alive": call.ended_at is None,
        "queue_id": one.id,
        "queue_position": one.position(call.call_control_id),
        "record_type": "queue_call",
        "to": call.callee,
        "wait_time_secs": int(now - waiting.enqueued_at),
    }


def _participant(one: Participant) -> dict[str, Any]:
    return {
        "id": one.id,
        "call_control_id": one.call.call_control_id,
        "call_leg_id": one.call.call_leg_id,
        "created_at": timestamp(one.joined_at),
        "end_conference_on_exit": one.end_conference_on_exit,
        "muted": one.silent,
        "on_hold": one.on_hold,
        "soft_end_conference_on_exit": one.soft_end_conference_on_exit,
        "status": "joined" if one.present else "left",
        "updated_at": timestamp(one.updated_at),
        "whisper_call_control_ids": list(one.whisper_call_control_ids),
    }
