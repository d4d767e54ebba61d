"""The operations on participants: seeing them, holding, muting, giving roles."""

from collections.abc import Callable

from gateway.sandbox import errors, events, views
from gateway.sandbox.conferences import check_one_audio
from gateway.sandbox.errors import refusal
from gateway.sandbox.membership import set_role
from gateway.sandbox.model import Call, Conference, Participant
from gateway.sandbox.pages import page
from gateway.sandbox.validation import Arguments
from gateway.sandbox.world import World


def listing(world: World, arguments: Arguments) -> views.Body:
    """Return those in the conference now, in order of joining."""
    conference = world.conference(arguments.path["conference_id"])
    query = arguments.query

    def passes(participant: Participant) -> bool:
        actual = {
            "filter[muted]": participant.silent,
            "filter[on_hold]": participant.on_hold,
            "filter[whispering]": participant.supervisor_role == "whisper",
        }
        return all(query.get(name, value) == value for name, value in actual.items())

    matching = [it for it in conference.present() if passes(it)]
    return page(matching, query, lambda it: views.listed_participant(it, conference))


def retrieve(world: World, arguments: Arguments) -> views.Body:
    """Return a participant, also when it has left."""
    conference = world.conference(arguments.path["id"])
    return {"data": views.participant(_participant(conference, arguments), conference)}


def update(world: World, arguments: Arguments) -> views.Body:
    """Change what happens when a participant leaves."""
    conference = world.live_conference(arguments.path["id"])
    participant = _participant(conference, arguments)
    if not participant.present:
        raise refusal(
            errors.NOT_IN_CONFERENCE,
            f"Participant '{participant.id}' has left conference '{conference.id}'.",
        )
    for name in ("beep_enabled", "end_conference_on_exit", "soft_end_conference_on_exit"):
        if name in arguments.body:
            setattr(participant, name, arguments.body[name])
    participant.updated_at = world.clock.now()
    return {"data": views.participant(participant, conference)}


def hold(world: World, arguments: Arguments) -> views.Body:
    """Put on hold those listed, or all."""
    check_one_audio(arguments.body, "audio_url", "media_name")

    def on_hold(participant: Participant) -> None:
        participant.on_hold, participant.held_until_start = True, False

    return _each(world, arguments, on_hold)


def unhold(world: World, arguments: Arguments) -> views.Body:
    """Take those listed off hold."""

    def off_hold(participant: Participant) -> None:
        participant.on_hold = participant.held_until_start = False

    return _each(world, arguments, off_hold)


def mute(world: World, arguments: Arguments) -> views.Body:
    """Mute those listed, or all."""

    def muted(participant: Participant) -> None:
        participant.muted = True

    return _each(world, arguments, muted)


def unmute(world: World, arguments: Arguments) -> views.Body:
    """Unmute those listed, or all; a monitor stays unheard."""

    def unmuted(participant: Participant) -> None:
        participant.muted = False

    return _each(world, arguments, unmuted)


def update_role(world: World, arguments: Arguments) -> views.Body:
    """Give a participant another supervisor role."""
    conference = world.live_conference(arguments.path["id"])
    participant = world.participant(conference, arguments.body["call_control_id"])
    set_role(participant, arguments.body["supervisor_role"], arguments.body)
    participant.updated_at = world.clock.now()
    return views.OK


def talk(world: World, call: Call) -> bool:
    """Let the call's participant speak; return whether that gave it the floor.

    It does not when it is in no conference, is muted or on hold, or has the floor already.
    """
    if call.conference_id is None:
        return False
    conference = world.conferences[call.conference_id]
    speaker = conference.find(call.call_control_id)
    if speaker is None or speaker.silent or speaker.on_hold:
        return False
    if conference.floor == call.call_control_id:
        return False
    conference.floor = call.call_control_id
    world.emit(events.floor_changed(conference, speaker, world.clock.now()))
    return True


def _participant(conference: Conference, arguments: Arguments) -> Participant:
    wanted = arguments.path["participant_id"]
    participant = conference.participants.get(wanted)
    if participant is None:
        raise refusal(
            errors.NOT_FOUND, f"There is no participant '{wanted}' in conference '{conference.id}'."
        )
    return participant


def _each(world: World, arguments: Arguments, change: Callable[[Participant], None]) -> views.Body:
    conference = world.live_conference(arguments.path["id"])
    chosen, _ = world.audience(conference, arguments.body)
    for participant in chosen:
        change(participant)
        participant.updated_at = world.clock.now()
    return views.OK
