"""Events as lines for a person: whatever they hold, a line is a line."""

import unicodedata
from typing import Any

from google.protobuf.message_factory import GetMessageClass
from hypothesis import example, given
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import Event
from gateway.client.event_text import EventText, shown
from tests.harness.descriptors import event_with

texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(texts, texts)
@example("call.hangup\n#99   00:00:00.000  conference.ended", "\x1b]0;owned\x07")
@example("\u202egnp.exe", "\u2028")
def test_an_event_is_one_line_that_commands_no_terminal(type_: str, conference_id: str) -> None:
    line = EventText().line(Event(sequence=1, type=type_, conference_id=conference_id))

    assert not {unicodedata.category(it) for it in line} & {"Cc", "Cf", "Zl", "Zp"}


def test_control_characters_are_shown_as_what_they_are() -> None:
    assert shown("a\nb\x1b[31m") == r"a\nb\x1b[31m"
    assert shown("Süd 客服 🙂") == "Süd 客服 🙂"


def words_of(event: Event) -> str:
    return (
        EventText({"c1": "stand-up", "v3:a": "Alice"}).line(event).partition(event.type)[2].strip()
    )


def test_a_sound_is_said_to_be_heard_by_one_or_by_everybody() -> None:
    event = Event(type="conference.playback.started", conference_id="c1")
    event.conference_playback_started.SetInParent()
    assert words_of(event) == "audio to everybody in stand-up started"

    event = Event(type="conference.participant.speak.ended", conference_id="c1")
    event.call_control_id = "v3:a"
    event.conference_participant_speak_ended.SetInParent()
    assert words_of(event) == "text to Alice in stand-up ended"


def test_a_payload_without_words_of_its_own_is_shown_by_its_ids() -> None:
    event: Any = GetMessageClass(event_with("a_b_c"))()
    event.type, event.call_control_id = "a.b.c", "v3:a"
    event.a_b_c.SetInParent()

    assert words_of(event) == "call=v3:a"
