"""Speech and playback in conferences: how they start, how long they last, how they stop."""

from collections.abc import Callable

from gateway.sandbox import events
from gateway.sandbox.model import Conference, Sound
from gateway.sandbox.world import World

# About 1,000 characters a minute, an unhurried reader.
SPEECH_S_PER_CHARACTER = 0.06

# Length of every audio file: the sandbox does not fetch any.
PLAYBACK_S = 3.0


def start(world: World, conference: Conference, sound: Sound, seconds: float | None) -> None:
    """Let a sound be heard for `seconds`, or until stopped when that is None."""
    now = world.clock.now()
    if seconds is not None:
        sound.timer = world.clock.call_at(now + seconds, lambda: _end(world, conference, sound))
    conference.sounds.append(sound)
    world.emit(events.sound_started(conference, sound, now))


def stop(world: World, conference: Conference, chosen: Callable[[Sound], bool]) -> None:
    """End the chosen sounds at once."""
    for sound in [it for it in conference.sounds if chosen(it)]:
        _end(world, conference, sound)


def _end(world: World, conference: Conference, sound: Sound) -> None:
    if sound.timer is not None:
        sound.timer.cancel()
    conference.sounds.remove(sound)
    world.emit(events.sound_ended(conference, sound, world.clock.now()))
