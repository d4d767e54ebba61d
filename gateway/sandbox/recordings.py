"""The operations on recordings of conferences. Several may run at once."""

import uuid

from gateway.sandbox import errors, events, views
from gateway.sandbox.errors import refusal
from gateway.sandbox.model import Conference, Recording
from gateway.sandbox.validation import Arguments
from gateway.sandbox.world import World


def start(world: World, arguments: Arguments) -> views.Body:
    """Start a recording beside those that run already."""
    body = arguments.body
    conference = world.live_conference(arguments.path["id"])
    recording = Recording(
        id=str(uuid.uuid4()),
        format=body["format"],
        channels=body.get("channels", "single"),
        started_at=world.clock.now(),
        custom_file_name=body.get("custom_file_name"),
    )
    conference.recordings[recording.id] = recording
    return views.OK


def stop(world: World, arguments: Arguments) -> views.Body:
    """Stop one recording, or all; each is saved."""
    conference = world.live_conference(arguments.path["id"])
    state = arguments.body.get("client_state", conference.client_state)
    for recording in _chosen(conference, arguments, paused=None):
        del conference.recordings[recording.id]
        world.emit(events.recording_saved(conference, recording, state, world.clock.now()))
    return views.OK


def pause(world: World, arguments: Arguments) -> views.Body:
    """Pause one recording, or all that run."""
    for recording in _chosen(world.live_conference(arguments.path["id"]), arguments, paused=False):
        recording.paused = True
    return views.OK


def resume(world: World, arguments: Arguments) -> views.Body:
    """Resume one recording, or all that are paused."""
    for recording in _chosen(world.live_conference(arguments.path["id"]), arguments, paused=True):
        recording.paused = False
    return views.OK


def _chosen(conference: Conference, arguments: Arguments, paused: bool | None) -> list[Recording]:
    """Return the recording named, or else all in the state that the command is for.

    Raises RefusedError if that leaves none.
    """
    named = arguments.body.get("recording_id")
    if named is not None and named not in conference.recordings:
        raise refusal(
            errors.NOT_FOUND,
            f"Conference '{conference.id}' has no recording '{named}' under way.",
            "/recording_id",
        )
    candidates = list(conference.recordings.values())
    if named is not None:
        candidates = [conference.recordings[named]]
    fitting = [it for it in candidates if paused is None or it.paused is paused]
    if not fitting:
        state = {None: "", True: "paused ", False: "running "}[paused]
        raise refusal(
            errors.NO_SUCH_RECORDING,
            f"Conference '{conference.id}' has no {state}recording to apply this to.",
        )
    return fitting
