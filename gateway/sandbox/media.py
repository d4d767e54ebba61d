"""The operations that are heard: speech, playback, prompts, tones."""

from typing import Literal

from gateway.sandbox import sounds, views
from gateway.sandbox.conferences import check_one_audio
from gateway.sandbox.model import Participant, Sound
from gateway.sandbox.validation import Arguments
from gateway.sandbox.world import World


def play(world: World, arguments: Arguments) -> views.Body:
    """Play an audio, which is taken to last a fixed time, as often as asked."""
    check_one_audio(arguments.body, "audio_url", "media_name", required=True)
    loop = arguments.body.get("loop", 1)
    seconds = None if loop == "infinity" else int(loop) * sounds.PLAYBACK_S
    return _to_audience(world, arguments, "playback", seconds)


def speak(world: World, arguments: Arguments) -> views.Body:
    """Say a text; the longer, the longer it takes."""
    seconds = len(arguments.body["payload"]) * sounds.SPEECH_S_PER_CHARACTER
    return _to_audience(world, arguments, "speak", seconds)


def stop(world: World, arguments: Arguments) -> views.Body:
    """Stop sounds: all of them, or those that only the listed participants hear."""
    conference = world.live_conference(arguments.path["id"])
    listeners, everybody = world.audience(conference, arguments.body)
    ids = {it.id for it in listeners}
    sounds.stop(
        world,
        conference,
        lambda sound: everybody or (sound.audience is not None and sound.audience.id in ids),
    )
    return views.OK


def gather(world: World, arguments: Arguments) -> views.Body:
    """Play the prompt. Nobody presses keys in a sandbox, so nothing is gathered."""
    body = arguments.body
    check_one_audio(body, "audio_url", "media_name", required=True)
    check_one_audio(body, "invalid_audio_url", "invalid_media_name")
    conference = world.live_conference(arguments.path["id"])
    listener = world.participant(conference, body["call_control_id"])
    sound = Sound("playback", listener, body.get("audio_url"), body.get("media_name"))
    sounds.start(world, conference, sound, sounds.PLAYBACK_S)
    return views.OK


def send_dtmf(world: World, arguments: Arguments) -> views.Body:
    """Accept tones for those who are there; they cause no webhooks."""
    conference = world.live_conference(arguments.path["id"])
    world.audience(conference, arguments.body)
    return views.OK


def _to_audience(
    world: World, arguments: Arguments, kind: Literal["playback", "speak"], seconds: float | None
) -> views.Body:
    """Start one sound for the whole conference, or one for each participant listed."""
    body = arguments.body
    conference = world.live_conference(arguments.path["id"])
    listeners, everybody = world.audience(conference, body)
    audiences: list[Participant | None] = [None] if everybody else list(listeners)
    for audience in audiences:
        sound = Sound(kind, audience, body.get("audio_url"), body.get("media_name"))
        sounds.start(world, conference, sound, seconds)
    return views.OK
