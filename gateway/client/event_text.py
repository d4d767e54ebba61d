"""Events as a person would want to read them, a line each."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, date, tzinfo
from typing import Any, TypeAlias

from conferencing.v1.common_pb2 import AudioFormat
from conferencing.v1.conference_pb2 import ConferenceEndReason
from conferencing.v1.event_pb2 import Event, QueueLeaveReason

# Categories of Unicode that no line of text needs: controls (line ends and escape sequences among
# them), invisible formatting (such as what turns the direction of writing), line separators.
_NOT_SHOWN = frozenset({"Cc", "Cf", "Zl", "Zp"})

# What is played to one participant or to everybody, and where it has come to.
_SOUND = re.compile(r"conference_(?:participant_)?(playback|speak)_(started|ended)")
_SOUNDS = {"playback": "audio", "speak": "text"}


# Events of one kind have one colour, in the words of terminals.
_COLOURS = ("cyan", "green", "yellow", "magenta", "blue")


def shown(text: str) -> str:
    r"""Return a text with its control characters escaped (`\n`, `\x1b`).

    Events hold what anybody wrote. Printed as it is, it could make up lines, or command a terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        it.encode("unicode_escape").decode() if unicodedata.category(it) in _NOT_SHOWN else it
        for it in text
    )


Style: TypeAlias = Callable[..., str]
"""Gives a text a colour (`fg`), or has it `dim`: `click.style`, or what leaves it alone."""


def _plain(text: str, **_: Any) -> str:
    return text


class EventText:
    """Puts events into words. `names` gives the words for call and conference ids.

    Times are those of `zone`, by default the machine's, with a date unless they are of `today`.
    """

    def __init__(
        self,
        names: Mapping[str, str] | None = None,
        style: Style = _plain,
        zone: tzinfo | None = None,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._names = names or {}
        self._style = style
        self._zone = zone
        self._today = today

    def line(self, event: Event) -> str:
        """Return the line of an event: number, time, type, and what it says."""
        head = shown(f"#{event.sequence:<4} {self._time(event)}")
        type_ = shown(f"{event.type:<40}")
        family = event.type.rpartition(".")[0]
        colour = _COLOURS[sum(family.encode()) % len(_COLOURS)]
        words = shown(self._words(event))
        return f"{self._style(head, dim=True)}  {self._style(type_, fg=colour)} {words}"

    def _time(self, event: Event) -> str:
        moment = event.occurred_at if event.HasField("occurred_at") else event.received_at
        try:
            local = moment.ToDatetime(UTC).astimezone(self._zone)
        except OverflowError:  # beyond the years that the zone can be told of
            local = moment.ToDatetime(UTC)
        day = "" if local.date() == self._today() else f"{local:%Y-%m-%d} "
        return f"{day}{local:%H:%M:%S.%f}"[:-3]

    def _words(self, event: Event) -> str:
        who = self._name(event.call_control_id)
        where = self._name(event.conference_id)
        match event.WhichOneof("payload"):
            case "call_enqueued":
                position = event.call_enqueued.current_position
                return f"{who} waits in {event.queue_name}, position {position}"
            case "call_dequeued":
                reason = QueueLeaveReason.Name(event.call_dequeued.reason)
                return f"{who} left {event.queue_name}: {_word(reason, 'QUEUE_LEAVE_REASON_')}"
            case "conference_created":
                return f"{where} was created by {who}"
            case "conference_ended":
                reason = ConferenceEndReason.Name(event.conference_ended.reason)
                return f"{where} ended: {_word(reason, 'CONFERENCE_END_REASON_')}"
            case "conference_participant_joined":
                return f"{who} joined {where}"
            case "conference_participant_left":
                return f"{who} left {where}"
            case "conference_floor_changed":
                return f"{who} speaks in {where}"
            case "conference_recording_saved":
                format_ = AudioFormat.Name(event.conference_recording_saved.format)
                return f"{where} recorded as {_word(format_, 'AUDIO_FORMAT_')}"
            case str(name) if sound := _SOUND.fullmatch(name):
                heard_by = f"{who} in {where}" if event.call_control_id else f"everybody in {where}"
                return f"{_SOUNDS[sound[1]]} to {heard_by} {sound[2]}"
            case _:
                return " ".join(
                    f"{name}={value}"
                    for name, value in (
                        ("conference", event.conference_id),
                        ("call", event.call_control_id),
                        ("queue", event.queue_name),
                    )
                    if value
                )

    def _name(self, id_: str) -> str:
        return self._names.get(id_, id_)


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", " ")
