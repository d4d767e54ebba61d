"""The operations on conferences as a whole, and calls coming in and going out."""

import operator
import uuid
from collections.abc import Callable
from typing import Any

from gateway.sandbox import errors, events, views
from gateway.sandbox.clock import instant, timestamp
from gateway.sandbox.errors import refusal
from gateway.sandbox.membership import admit, check_admission, end, remove
from gateway.sandbox.model import Conference
from gateway.sandbox.pages import page
from gateway.sandbox.validation import Arguments
from gateway.sandbox.world import World

# The provider ends every conference after four hours, or earlier when told so.
_LIFETIME_MINUTES = 4 * 60

_DEFAULT_MAX_PARTICIPANTS = 250
# Name of the one application; what `filter[application_name][contains]` looks in.
_APPLICATION_NAME = "Sandbox"


def create(world: World, arguments: Arguments) -> views.Body:
    """Create a conference that its call is in from the start, as its owner."""
    body = arguments.body
    check_one_audio(body, "hold_audio_url", "hold_media_name")
    call = world.active_call(body["call_control_id"], "/call_control_id")
    now = world.clock.now()
    minutes = min(body.get("duration_minutes", _LIFETIME_MINUTES), _LIFETIME_MINUTES)
    conference = Conference(
        id=str(uuid.uuid4()),
        name=body["name"],
        owner=call,
        connection_id=call.connection_id,
        region=body.get("region", "US"),
        created_at=now,
        updated_at=now,
        expires_at=now + minutes * 60.0,
        max_participants=body.get("max_participants", _DEFAULT_MAX_PARTICIPANTS),
        beep_enabled=body.get("beep_enabled", "never"),
        client_state=body.get("client_state"),
        started=body.get("start_conference_on_create", True),
    )
    check_admission(conference, call)
    world.add_conference(conference)
    conference.expiry = world.clock.call_at(
        conference.expires_at, lambda: end(world, conference, "time_exceeded")
    )
    world.emit(events.created(conference, now))
    admit(world, conference, call, {})
    return {"data": views.conference(conference)}


def listing(world: World, arguments: Arguments) -> views.Body:
    """Return the conferences, those that expire last first."""
    matching = [it for it in world.conferences.values() if _passes(it, arguments.query)]
    matching.sort(key=lambda it: it.expires_at, reverse=True)
    return page(matching, arguments.query, views.conference)


def retrieve(world: World, arguments: Arguments) -> views.Body:
    """Return a conference, also when it has ended."""
    return {"data": views.conference(world.conference(arguments.path["id"]))}


def join(world: World, arguments: Arguments) -> views.Body:
    """Bring a call in; its queue, if it is in one, loses it to the conference."""
    body = arguments.body
    check_one_audio(body, "hold_audio_url", "hold_media_name")
    conference = world.live_conference(arguments.path["id"])
    call = world.active_call(body["call_control_id"], "/call_control_id")
    check_admission(conference, call)
    state = body.get("client_state")
    if state is not None:
        call.client_state = state
        if call is conference.owner:
            conference.client_state = state
    admit(world, conference, call, body)
    return views.OK


def leave(world: World, arguments: Arguments) -> views.Body:
    """Take a call out; it stays active."""
    conference = world.live_conference(arguments.path["id"])
    remove(world, conference, world.participant(conference, arguments.body["call_control_id"]))
    return views.OK


def end_conference(world: World, arguments: Arguments) -> views.Body:
    """End the conference and hang up all calls in it."""
    end(world, world.live_conference(arguments.path["id"]), "ended_via_api")
    return views.OK


def check_one_audio(body: Any, url: str, name: str, *, required: bool = False) -> None:
    """Raise RefusedError if an audio is named in both ways, or a required one in neither."""
    if url in body and name in body:
        raise refusal(errors.INVALID_PARAMETER, f"Give '{url}' or '{name}', not both.", f"/{name}")
    if required and url not in body and name not in body:
        raise refusal(errors.MISSING_PARAMETER, f"'{url}' or '{name}' is required.", f"/{url}")


def _passes(conference: Conference, query: Any) -> bool:
    owner = conference.owner
    # There is one application, of one product; nothing in it ever failed or had a voice profile.
    expected = {
        "filter[application_session_id]": owner.call_session_id,
        "filter[connection_id]": conference.connection_id,
        "filter[failed]": False,
        "filter[from]": owner.caller,
        "filter[leg_id]": owner.call_leg_id,
        "filter[name]": conference.name,
        "filter[outbound.outbound_voice_profile_id]": "",
        "filter[product]": "call_control",
        "filter[status]": conference.status,
        "filter[to]": owner.callee,
        "filter[type]": "command",
    }
    if any(name in query and query[name] != value for name, value in expected.items()):
        return False
    fragment: str = query.get("filter[application_name][contains]", "")
    return fragment.lower() in _APPLICATION_NAME.lower() and _in_time(conference, query)


def _in_time(conference: Conference, query: Any) -> bool:
    # Compared as written in responses, so that a time copied from one finds its conference.
    at = instant(timestamp(conference.created_at))
    verdicts: dict[str, Callable[[float, float], bool]] = {
        "eq": operator.eq,
        "gt": operator.gt,
        "gte": operator.ge,
        "lt": operator.lt,
        "lte": operator.le,
    }
    return all(
        verdict(at, instant(query[f"filter[occurred_at][{name}]"]))
        for name, verdict in verdicts.items()
        if f"filter[occurred_at][{name}]" in query
    )
