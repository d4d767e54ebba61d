"""Messages to JSON and back, as the protos say."""

import contextlib
import math
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import BytesValue
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1 import conference_pb2, conference_service_pb2, event_pb2, queue_pb2
from conferencing.v1.common_pb2 import (
    REGION_MIDDLE_EAST,
    SUPERVISOR_ROLE_WHISPER,
)
from gateway.details import FieldViolation
from gateway.schema.decoder import MessageDecoder, MismatchError
from gateway.schema.encoder import MessageEncoder
from gateway.schema.timestamps import format_timestamp, parse_timestamp
from tests.harness.messages import messages, timestamps


def encode(message: Message) -> tuple[dict[str, Any], list[FieldViolation]]:
    problems: list[FieldViolation] = []
    descriptor: Any = message.DESCRIPTOR
    return MessageEncoder(descriptor).encode(message, "", problems), problems


def without_empty_parts(message: Message) -> Message:
    """The same without messages in which nothing is set: those say nothing and are not written."""
    result = type(message)()
    result.CopyFrom(message)
    for field, value in message.ListFields():
        if _is_empty_part(field, value):
            result.ClearField(field.name)
    return result


def _is_empty_part(field: Any, value: Any) -> bool:
    if field.message_type is None or field.is_repeated or value.ListFields():
        return False
    return bool(field.message_type.full_name != "google.protobuf.Timestamp")


RESOURCES = [
    conference_pb2.Conference,
    conference_pb2.Participant,
    queue_pb2.Queue,
    queue_pb2.QueuedCall,
    event_pb2.ConferenceRecordingSaved,
    event_pb2.CallDequeued,
]


@given(st.one_of(*map(messages, RESOURCES)))
def test_what_is_written_is_read_back_as_the_same_message(message: Message) -> None:
    written, problems = encode(message)

    assert problems == []
    assert MessageDecoder(type(message)).decode(written) == without_empty_parts(message)


def test_only_what_is_set_is_written() -> None:
    request = conference_service_pb2.JoinConferenceRequest(
        conference_id="c", call_control_id="v3:x", mute=False
    )

    assert encode(request)[0] == {
        "conference_id": "c",
        "call_control_id": "v3:x",
        "mute": False,
    }


def test_exceptions_to_the_naming_rule_are_options_of_the_protos() -> None:
    assert encode(queue_pb2.QueuedCall(caller="+1"))[0] == {"from": "+1"}
    assert encode(conference_service_pb2.GetConferenceRequest(region=REGION_MIDDLE_EAST))[0] == {
        "region": "Middle East"
    }
    assert encode(
        conference_service_pb2.UpdateSupervisorRoleRequest(supervisor_role=SUPERVISOR_ROLE_WHISPER)
    )[0] == {"supervisor_role": "whisper"}
    filter_ = conference_service_pb2.ConferenceFilter(outbound_voice_profile_id="7")
    assert encode(filter_)[0] == {"outbound.outbound_voice_profile_id": "7"}


@pytest.mark.parametrize(
    ("loop", "written"), [("3", 3), ("100", 100), ("infinity", "infinity"), ("-1", "-1")]
)
def test_a_number_or_a_word_is_written_as_what_it_is(loop: str, written: object) -> None:
    assert encode(conference_service_pb2.PlayAudioRequest(loop=loop))[0] == {"loop": written}


def test_a_discriminated_member_is_one_object_with_its_name_in_it() -> None:
    request = conference_service_pb2.SpeakTextRequest()
    request.voice_settings.minimax.speed = 1.5
    assert encode(request)[0] == {"voice_settings": {"type": "minimax", "speed": 1.5}}

    request.voice_settings.aws.SetInParent()
    assert encode(request)[0] == {"voice_settings": {"type": "aws"}}


def test_everything_that_cannot_be_sent_is_named() -> None:
    request = conference_service_pb2.SpeakTextRequest(region=77)  # type: ignore[arg-type]
    request.voice_settings.telnyx.voice_speed = math.nan

    written, problems = encode(request)

    assert written == {"voice_settings": {"type": "telnyx"}}
    assert {problem.field for problem in problems} == {
        "region",
        "voice_settings.telnyx.voice_speed",
    }


def test_unknown_fields_and_texts_and_nulls_are_passed_over() -> None:
    read = MessageDecoder(conference_pb2.Conference).decode(
        {"id": "c", "status": "melting", "brand_new": {"x": [1]}, "name": None}
    )

    assert read == conference_pb2.Conference(id="c")


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"id": {"x": 1}}, "id is not a string"),
        ({"id": True}, "id is not a string"),
        ({"status": 3}, "status is not a string"),
        ({"created_at": "yesterday"}, "created_at is not an RFC 3339 timestamp"),
        ({"created_at": 12}, "created_at is not an RFC 3339 timestamp"),
        ({"ended_by": []}, "ended_by is not an object"),
        ({"ended_by": {"call_control_id": []}}, "ended_by.call_control_id is not a string"),
        ([], "the document is not an object"),
    ],
)
def test_a_known_field_of_the_wrong_kind_is_named(document: Any, complaint: str) -> None:
    with pytest.raises(MismatchError) as caught:
        MessageDecoder(conference_pb2.Conference).decode(document)

    assert str(caught.value) == complaint


def test_the_place_in_a_list_is_named() -> None:
    with pytest.raises(MismatchError, match=r"whisper_call_control_ids\[1\] is not a string"):
        MessageDecoder(conference_pb2.Participant).decode({"whisper_call_control_ids": ["a", []]})


@pytest.mark.parametrize("value", [7, "7", 7.0])
def test_numbers_are_read_however_they_are_written(value: object) -> None:
    assert MessageDecoder(queue_pb2.Queue).decode({"current_size": value}).current_size == 7


@pytest.mark.parametrize("value", [2**31, 1.5, "seven", "\u0667", True, "", "--7", "1" * 5_000])
def test_what_is_no_such_number_is_refused(value: object) -> None:
    with pytest.raises(MismatchError):
        MessageDecoder(queue_pb2.Queue).decode({"current_size": value})


def test_a_number_for_a_text_is_read_as_its_digits() -> None:
    assert MessageDecoder(queue_pb2.Queue).decode({"id": 12}).id == "12"


@given(timestamps)
def test_timestamps_survive_to_the_nanosecond(moment: Timestamp) -> None:
    assert parse_timestamp(format_timestamp(moment)) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00.25Z",
        "2026-01-31 12:00:00.25",
        "2026-01-31T13:00:00.250000+01:00",
        "2026-01-31T11:00:00.2500000000001-0100",
    ],
)
def test_timestamps_are_read_in_every_spelling_seen(text: str) -> None:
    assert parse_timestamp(text).ToJsonString() == "2026-01-31T12:00:00.250Z"


@pytest.mark.slow
@given(st.text())
def test_other_texts_are_no_timestamps_and_no_crash(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_timestamp(text)


def test_a_type_without_a_json_form_is_refused_when_compiled() -> None:
    with pytest.raises(TypeError, match=r"BytesValue\.value"):
        MessageEncoder(BytesValue.DESCRIPTOR)
