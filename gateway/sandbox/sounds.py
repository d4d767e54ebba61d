"""Speech and playback in conferences: how they start, how long they last, how they stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.sandbox import events
from gateway.sandbox.model import Conference, Sound
from gateway.sandbox.world import World

SPEECH_SECONDS_PER_CHARACTER: Final = 0.06
"""About 1,000 characters a minute, an unhurried reader."""

PLAYBACK_SECONDS: Final = 3.0
"""Length of every audio file: the sandbox does not fetch any."""


def start(world: World, conference: Conference, sound: Sound, seconds: float | None) -> None:
    """Let a sound be heard for ``seconds``, or until stopped when that is ``None``."""
    now = world.clock.now()
    if seconds is not None:
        sound.timer = world.clock.call_at(now + seconds, lambda: _end(world, conference, sound))
    conference.sounds.append(sound)
    world.emit(events.sound_started(conference, sound, now))


def stop(world: World, conference: Conference, chosen: Callable[[Sound], bool]) -> None:
    """End the chosen sounds at once."""
    for sound in [one for one in conference.sounds if chosen(one)]:
        _end(world, conference, sound)


def _end(world: World, conference: Conference, sound: Sound) -> None:
    if sound.timer is not None:
        sound.timer.cancel()
    conference.sounds.remove(sound)
    world.emit(events.sound_ended(conference, sound, world.clock.now()))
