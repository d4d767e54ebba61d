"""Reading what can be read: each value that cannot be is left out and named, and nothing else."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conferencing.v1 import conference_pb2, queue_pb2, voice_settings_pb2
from gateway.schema.decoder import MessageDecoder, MismatchError
from gateway.schema.lenient_json import parse
from gateway.schema.timestamps import format_timestamp, parse_timestamp

CONFERENCE = MessageDecoder(conference_pb2.Conference)
PARTICIPANT = MessageDecoder(conference_pb2.Participant)
QUEUE = MessageDecoder(queue_pb2.Queue)


def read(decoder: MessageDecoder[Any], document: Any) -> tuple[Any, dict[str, str]]:
    problems: list[MismatchError] = []
    message = decoder.decode_leniently(document, "data", problems)
    return message, {problem.path: problem.expected for problem in problems}


@pytest.mark.parametrize(
    ("decoder", "name", "value"),
    [
        (QUEUE, "average_wait_time_secs", 12.5),
        (QUEUE, "current_size", 2**31),
        (QUEUE, "current_size", 2**80),
        (QUEUE, "current_size", "many"),
        (QUEUE, "current_size", True),
        (QUEUE, "current_size", {}),
        (QUEUE, "created_at", "yesterday"),
        (QUEUE, "created_at", 1_700_000_000),
        (QUEUE, "created_at", "2026-13-01T00:00:00Z"),
        (QUEUE, "created_at", "9999-12-31T23:59:59-01:00"),
        (QUEUE, "created_at", "0001-01-01T00:00:00+01:00"),
        (QUEUE, "name", {}),
        (QUEUE, "name", True),
        (QUEUE, "name", 1e30),
        (PARTICIPANT, "muted", "yes"),
        (PARTICIPANT, "muted", 2),
        (PARTICIPANT, "muted", []),
        (PARTICIPANT, "status", 3),
        (PARTICIPANT, "conference", "c1"),
        (PARTICIPANT, "whisper_call_control_ids", "v3:a"),
    ],
)
def test_a_value_that_its_field_cannot_hold_is_left_out_and_named(
    decoder: MessageDecoder[Any], name: str, value: Any
) -> None:
    message, problems = read(decoder, {"id": "kept", name: value})

    assert message == type(message)(id="kept")
    assert set(problems) == {f"data.{name}"}
    with pytest.raises(MismatchError, match=name):
        decoder.decode({"id": "kept", name: value})


@pytest.mark.parametrize(
    ("written", "value"),
    [("true", True), ("false", False), ("True", True), (1, True), (0, False)],
)
def test_a_truth_is_read_however_it_is_written(written: Any, value: bool) -> None:
    call = MessageDecoder(queue_pb2.QueuedCall).decode({"is_alive": written})

    assert call.HasField("is_alive")
    assert call.is_alive is value


@pytest.mark.parametrize("value", [10**400, -(10**400), math.inf, math.nan, "1.5", True])
def test_a_number_that_no_double_holds_is_left_out_and_named(value: Any) -> None:
    settings, problems = read(
        MessageDecoder(voice_settings_pb2.MinimaxVoiceSettings), {"pitch": 1, "speed": value}
    )

    assert (settings.pitch, settings.HasField("speed")) == (1, False)
    assert problems == {"data.speed": "a number"}


def test_what_is_deep_inside_is_named_by_its_place() -> None:
    document = {
        "id": "p",
        "conference": {"id": {}, "name": "n"},
        "whisper_call_control_ids": ["a", [], "b"],
    }

    message, problems = read(PARTICIPANT, document)

    assert message.conference.name == "n"
    assert list(message.whisper_call_control_ids) == ["a", "b"]
    assert set(problems) == {"data.conference.id", "data.whisper_call_control_ids[1]"}


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2016-12-31T23:59:60.250Z", "2017-01-01T00:00:00.250Z"),
        ("2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00Z"),
        ("2016-12-31T15:59:60.5-0800", "2017-01-01T00:00:00.500Z"),
    ],
)
def test_a_leap_second_is_the_first_of_the_next_day(text: str, read_as: str) -> None:
    assert format_timestamp(parse_timestamp(text)) == read_as


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-31T12:00:60Z",
        "2016-12-31T23:59:61Z",
        "9999-12-31T23:59:60Z",
        "2016-12-31T23:60:00Z",
    ],
)
def test_other_seconds_beyond_59_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_timestamp(text)


@pytest.mark.parametrize(
    ("body", "name", "problems"),
    [
        (b'\xef\xbb\xbf{"name": "x"}', "x", set[str]()),
        ('{"name": "x"}'.encode("utf-16"), "x", set[str]()),
        (b'{"name": "half \\ud83d"}', "half �", {"data.name"}),
        (b'{"name": "x", "max_size": NaN}', "x", {"data.max_size"}),
        (b'{"name": "x", "max_size": -Infinity}', "x", {"data.max_size"}),
        (b'{"name": "x", "max_size": 1e999}', "x", {"data.max_size"}),
        (b'{"name": "x", "max_size": 1' + b"0" * 5_000 + b"}", "x", {"data.max_size"}),
        (b'{"name": "x", "max_size": 1' + b"0" * 400 + b', "other": NaN}', "x", {"data.max_size"}),
        (b'{"name": "w", "name": "x"}', "x", set[str]()),
        (b'{"\\ud83d": 1, "name": "x"}', "x", set[str]()),
        (b'{"name": "x\xffy"}', "x\ufffdy", {"data.name"}),
        (b'{"other": "\xff", "name": "x"}', "x", set[str]()),
        (b'{"name": "x\ny"}', "x\ny", set[str]()),
        (b'{"name": "x", "other": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "x", set[str]()),
    ],
)
def test_json_is_read_as_far_as_other_readers_read_it(
    body: bytes, name: str, problems: set[str]
) -> None:
    message, found = read(QUEUE, parse(body))

    assert (message.name, set(found)) == (name, problems)


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff", b"[" * 100_000, b"{'a': 1}"])
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(body)


# JSON values at the edge, and what is made of them.
EDGES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**31 - 2, 2**31 + 2)
    | st.floats()
    | st.sampled_from([10**400, -(10**400), math.inf, math.nan, 2**63, 1e22, -0.0])
    | st.text()
    | st.text(st.characters(categories=["Cs"]), max_size=2)
    | st.sampled_from(
        ["true", "7", "-7", "2026-01-01T00:00:00Z", "joined", "9999-12-31T23:59:60Z"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
FIELDS = [field.name for field in conference_pb2.Participant.DESCRIPTOR.fields]


@given(st.dictionaries(st.sampled_from(FIELDS), EDGES))
@example({"muted": 10**400})
@example({"whisper_call_control_ids": ["\ud83d"]})
def test_whatever_a_field_holds_the_rest_is_read(values: dict[str, Any]) -> None:
    body = json.dumps({**values, "id": "kept"}, ensure_ascii=True).encode()

    message, problems = read(PARTICIPANT, parse(body))

    assert message.id == "kept"
    assert {path.split(".")[1].split("[")[0] for path in problems} <= values.keys()
    type(message).FromString(message.SerializeToString())
    for name, value in values.items():
        if name != "id" and value not in (None, "") and f"data.{name}" not in problems:
            # What is not complained of is there, or its default is what was written.
            held = dict.fromkeys(field.name for field, _ in message.ListFields())
            assert name in held or not getattr(message, name) or name == "conference"
