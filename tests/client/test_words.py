"""Requests from words: every request can be written, and what is wrong with one is said."""

import json
import unicodedata
from base64 import b64encode
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1.conference_service_pb2 import (
    JoinConferenceRequest,
    ListConferencesRequest,
    MuteParticipantsRequest,
    SpeakTextRequest,
)
from conferencing.v1.event_service_pb2 import ListEventsResponse, SubscribeRequest
from gateway.client import enums
from gateway.client.api import Api
from gateway.client.message_text import lines_of
from gateway.client.words import fill, fill_from_json
from tests.harness.messages import messages

REQUESTS = [GetMessageClass(it.input_type) for it in Api.of_this_release().methods]
VALUES = {f"google.protobuf.{it}" for it in ("Timestamp", "Duration", "Struct")}
RESPONSES = [GetMessageClass(it.output_type) for it in Api.of_this_release().methods]


def written(message: Message, prefix: str = "") -> list[str]:
    """Write a message in words, as somebody would who knows its fields."""
    words: list[str] = []
    for field, value in message.ListFields():
        for index, item in enumerate(value if field.is_repeated else [value]):
            path = f"{prefix}{field.name}"
            if field.message_type is None or field.message_type.full_name in VALUES:
                words.append(f"{path}={text_of(field, item)}")
            elif item.ListFields():
                words += written(item, f"{path}[{index}]." if field.is_repeated else f"{path}.")
            else:
                words.append(f"{path}={{}}")
    return words


def text_of(field: FieldDescriptor, value: Any) -> str:
    if field.enum_type is not None:
        return enums.word(field.enum_type.values_by_number[value])
    if isinstance(value, Message):
        written = MessageToDict(value)
        return written if isinstance(written, str) else json.dumps(written)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return str(value).lower() if isinstance(value, bool) else str(value)


@given(st.one_of(*(messages(it) for it in REQUESTS)))
def test_every_request_can_be_written_in_words(request: Message) -> None:
    made = type(request)()

    fill(made, written(request))

    assert made == request


@given(st.one_of(*(messages(it) for it in RESPONSES)))
def test_every_response_can_be_read(response: Message) -> None:
    lines = list(lines_of(response))

    assert not any(unicodedata.category(it) in ("Cc", "Cf") for line in lines for it in line)
    assert bool(lines) == bool(response.ListFields())


def test_a_field_may_be_named_in_either_spelling_and_deep_inside() -> None:
    request = SubscribeRequest()

    fill(request, ["filter.types=a", "filter.conferenceIds=c1", "filter.types=b.*"])

    assert list(request.filter.types) == ["a", "b.*"]
    assert list(request.filter.conference_ids) == ["c1"]


def test_lists_and_messages_may_be_json_and_are_added_to() -> None:
    request = MuteParticipantsRequest()
    response = ListEventsResponse()

    fill(request, ["call_control_ids=a", 'call_control_ids=["b", "c"]', "call_control_ids=d"])
    fill(response, ["events[0].id=e1", "events[1].id=e2", "events[0].type=t", 'events={"id": "3"}'])

    assert list(request.call_control_ids) == ["a", "b", "c", "d"]
    assert [(it.id, it.type) for it in response.events] == [("e1", "t"), ("e2", ""), ("3", "")]


def test_a_value_may_hold_anything_behind_the_first_equals_sign() -> None:
    request = JoinConferenceRequest()

    fill(request, ["client_state=YT1i=\n=", "conference_id="])

    assert request.client_state == "YT1i=\n="


def test_a_value_that_is_false_is_set() -> None:
    request = JoinConferenceRequest()

    fill(request, ["mute=No"])

    assert request.HasField("mute")
    assert not request.mute


def test_json_comes_first_and_words_change_it() -> None:
    request = JoinConferenceRequest()

    fill_from_json(request, '{"conferenceId": "c1", "call_control_id": "k1"}')
    fill(request, ["call_control_id=k2"])

    assert (request.conference_id, request.call_control_id) == ("c1", "k2")


WRONG: list[tuple[Message, list[str], str]] = [
    (
        JoinConferenceRequest(),
        ["conference"],
        "'conference' is not a field and its value, such as conference_id=c1",
    ),
    (
        JoinConferenceRequest(),
        ["conferance_id=c1"],
        "conferance_id: JoinConferenceRequest has no field conferance_id; is it conference_id?",
    ),
    (JoinConferenceRequest(), ["mute=maybe"], "mute: is not true or false"),
    (
        JoinConferenceRequest(),
        ["beep_enabled=sometimes"],
        "beep_enabled: is not one of always, never, on_enter, on_exit",
    ),
    (
        JoinConferenceRequest(),
        ["conference_id=a", "conference_id=b"],
        "conference_id: is given twice",
    ),
    (JoinConferenceRequest(), ["mute.x=1"], "mute.x: mute has no fields"),
    (JoinConferenceRequest(), ["mute[0]=true"], "mute[0]: mute is not a list"),
    (
        MuteParticipantsRequest(),
        ["call_control_ids[0]=k"],
        "call_control_ids[0]: name call_control_ids once for each of its values, without [0]",
    ),
    (
        ListEventsResponse(),
        ["events.id=e"],
        "events.id: events is a list: name one of it, as in events[0]",
    ),
    (ListEventsResponse(), ["events[1].id=e"], "events[1].id: events[0] comes before events[1]"),
    (
        ListConferencesRequest(),
        ["page_size=2147483648"],
        "page_size: is not a whole number between -2147483648 and 2147483647",
    ),
    (
        SubscribeRequest(),
        ["since=yesterday"],
        "since: is not a time such as 2026-01-31T12:00:00Z",
    ),
    (
        SubscribeRequest(),
        ["heartbeat_interval=soon"],
        "heartbeat_interval: is not a duration such as 1.5s",
    ),
    (
        SubscribeRequest(),
        ["filter=call.enqueued"],
        "filter: is a EventFilter: name a field of it, as in filter.call_control_ids=...,"
        " or write JSON",
    ),
]


@pytest.mark.parametrize(("message", "words", "fault"), WRONG, ids=[it[2][:40] for it in WRONG])
def test_what_is_wrong_with_a_word_is_said(message: Any, words: list[str], fault: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole text is compared
        fill(type(message)(), words)

    assert str(refused.value) == fault


def test_json_that_does_not_fit_is_refused() -> None:
    for text in ("{", "[]", '{"no_such": 1}', '{"voice": 1}'):
        with pytest.raises(ValueError, match="not the JSON of a SpeakTextRequest"):
            fill_from_json(SpeakTextRequest(), text)
