"""Payloads that do not fit their message: what is shown of them, and what is noted."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from conferencing.v1.event_pb2 import (
    EVENT_NOTE_REASON_NOT_AN_OBJECT,
    EVENT_NOTE_REASON_SHOWN_AS_UNKNOWN,
    EVENT_NOTE_REASON_UNKNOWN_VALUE,
)
from tests.harness.gateway import RunningGateway
from tests.ingest.webhooks.posting import body_of, noted, posted


def test_what_a_message_shows_as_it_was_sent_needs_no_note(running: RunningGateway) -> None:
    payload = '{"connection_id": "16846411232360542440000", "list": [1, -2.5, {"deep": null}]}'

    assert not posted(running, body_of('"x.y"', payload)).notes
    assert not posted(running, body_of('"conference.created"', '{"conference_id": "c"}')).notes


@pytest.mark.parametrize("type_", ["conference.ended", "x.y"])
@pytest.mark.parametrize("payload", ['"hello"', "[1]", "7", "0.5", "true", "false", '""', "[]"])
def test_a_payload_that_is_no_object_is_noted_and_never_shown_as_an_empty_message(
    running: RunningGateway, type_: str, payload: str
) -> None:
    event = posted(running, body_of(json.dumps(type_), payload))

    assert event.WhichOneof("payload") == "unknown"
    assert not event.unknown.fields
    assert noted(event) == {"data.payload": EVENT_NOTE_REASON_NOT_AN_OBJECT}


def test_a_payload_that_was_not_sent_needs_no_note(running: RunningGateway) -> None:
    event = posted(running, body_of('"conference.ended"', "null"))

    assert event.WhichOneof("payload") == "conference_ended"
    assert not event.notes


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        ("conference.ended", "reason"),
        ("call.dequeued", "reason"),
        ("conference.recording.saved", "channels"),
        ("conference.recording.saved", "format"),
    ],
)
def test_a_word_that_an_enum_does_not_have_is_noted(
    running: RunningGateway, type_: str, name: str
) -> None:
    payload = json.dumps({"call_control_id": "c", name: "martians"})

    event = posted(running, body_of(json.dumps(type_), payload))

    typed = getattr(event, type_.replace(".", "_"))
    assert (typed.call_control_id, getattr(typed, name)) == ("c", 0)
    assert noted(event) == {f"data.payload.{name}": EVENT_NOTE_REASON_UNKNOWN_VALUE}


@pytest.mark.parametrize(
    "payload", ['{"reason": "all_left"}', '{"reason": ""}', '{"reason": null}']
)
def test_a_word_that_an_enum_has_or_that_was_not_sent_needs_no_note(
    running: RunningGateway, payload: str
) -> None:
    assert not posted(running, body_of('"conference.ended"', payload)).notes


@pytest.mark.parametrize(
    ("type_", "payload", "place"),
    [
        ("conference.recording.saved", {"recording_started_at": "soon"}, "recording_started_at"),
        ("conference.recording.saved", {"recording_urls": {"mp3": [1]}}, "recording_urls.mp3"),
        ("conference.recording.saved", {"recording_urls": "http://x"}, "recording_urls"),
        ("call.enqueued", {"current_position": 1.5}, "current_position"),
        ("call.enqueued", {"current_position": 2**31}, "current_position"),
        ("conference.ended", {"reason": 7}, "reason"),
        ("conference.created", {"call_leg_id": True}, "call_leg_id"),
    ],
)
def test_a_payload_that_does_not_fit_its_message_is_shown_as_unknown_and_noted(
    running: RunningGateway, type_: str, payload: dict[str, Any], place: str
) -> None:
    event = posted(running, body_of(json.dumps(type_), json.dumps(payload)))

    assert MessageToDict(event.unknown) == payload
    first = event.notes[0]
    assert (first.path, first.reason) == (
        f"data.payload.{place}",
        EVENT_NOTE_REASON_SHOWN_AS_UNKNOWN,
    )


def test_notes_are_counted(fresh: RunningGateway) -> None:
    posted(fresh, body_of('"x.y"', '{"a": 1e999, "b": 1e999}'))

    text = fresh.metrics()
    assert 'gateway_event_notes_total{reason="NUMBER_AS_TEXT"} 1.0' in text
