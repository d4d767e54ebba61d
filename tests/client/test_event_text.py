"""Events as lines for a person: whatever they hold, a line is a line."""

import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import Event
from gateway.client.event_text import EventText, shown

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
