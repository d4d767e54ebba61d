"""Ids in webhooks: shown and found by as they were sent, and never one for another."""

import json

import pytest

from conferencing.v1.event_pb2 import (
    EVENT_NOTE_REASON_NOT_AN_ID,
)
from conferencing.v1.event_service_pb2 import (
    EventFilter,
    ListEventsRequest,
)
from tests.harness.gateway import RunningGateway
from tests.harness.webhooks import event_id
from tests.ingest.webhooks.posting import body_of, noted, numbers, posted


@pytest.mark.parametrize("type_", ["conference.created", "x.y"])
@pytest.mark.parametrize(
    "written", ["1e3", "1.50", "1E+2", "1234567890123456789012.0", "1e400", "9" * 30]
)
def test_an_id_sent_as_a_number_is_what_was_written(
    running: RunningGateway, type_: str, written: str
) -> None:
    payload = f'{{"conference_id": {written}, "call_control_id": {written}}}'

    event = posted(running, body_of(json.dumps(type_), payload))

    assert (event.conference_id, event.call_control_id) == (written, written)
    if type_ == "conference.created":
        assert event.conference_created.conference_id == written
        assert not event.notes


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (r'"%s\ud83d"', r'"%s\ud83e"'),
        ('"%s\udcfe"', '"%s\udcff"'),
        ("%s.0", "%s.00000000000000000001"),
        ("%se2", "%s00.0"),
        ("%s.1234567890123456789", "%s.12345678901234567891"),
    ],
    ids=["half emojis", "bytes", "a tiny fraction", "an exponent", "fractions"],
)
def test_events_whose_ids_differ_in_anything_are_both_stored(
    running: RunningGateway, first: str, second: str
) -> None:
    number = next(numbers)

    # `posted` wants each to be stored, and none to be called a duplicate.
    events = [
        posted(running, body_of('"x.y"', "{}", "ID").replace(b'"ID"', id_))
        for id_ in ((it % number).encode("utf-8", "surrogateescape") for it in (first, second))
    ]

    assert events[0].id != events[1].id


@pytest.mark.parametrize(
    ("name", "other", "shown"),
    [
        ("call_session_id", "creator_call_session_id", "call_session_id"),
        ("queue_name", "queue", "queue_name"),
    ],
)
@pytest.mark.parametrize("type_", ["call.enqueued", "conference.playback.ended", "x.y"])
@pytest.mark.parametrize("unreadable", ['{"a": 1}', "[]", "{}", "false", "true"])
def test_an_id_that_cannot_be_read_is_never_replaced_by_another(
    running: RunningGateway, name: str, other: str, shown: str, type_: str, unreadable: str
) -> None:
    payload = f'{{"{name}": {unreadable}, "{other}": "another"}}'

    event = posted(running, body_of(json.dumps(type_), payload))

    assert getattr(event, shown) == ""
    assert noted(event).get(f"data.payload.{name}") == EVENT_NOTE_REASON_NOT_AN_ID


@pytest.mark.parametrize("nothing", ["null", '""'])
def test_an_id_that_was_not_sent_is_taken_from_where_else_it_stands(
    running: RunningGateway, nothing: str
) -> None:
    payload = f'{{"call_session_id": {nothing}, "creator_call_session_id": "creator"}}'

    for type_ in ('"conference.playback.ended"', '"x.y"'):
        assert posted(running, body_of(type_, payload)).call_session_id == "creator"


@pytest.mark.parametrize("type_", ["conference.playback.ended", "conference.mood.changed"])
def test_ids_sent_as_numbers_are_found_by_their_digits(running: RunningGateway, type_: str) -> None:
    number = 10**17 + next(numbers)
    payload = {
        "conference_id": number,
        "connection_id": number + 1,
        "call_session_id": number + 2,
        "creator_call_session_id": "creator",
    }

    event = posted(running, body_of(json.dumps(type_), json.dumps(payload)))

    assert event.conference_id == str(number)
    assert event.connection_id == str(number + 1)
    assert event.call_session_id == str(number + 2)
    wanted = EventFilter(call_session_ids=[str(number + 2)])
    found = running.events.ListEvents(ListEventsRequest(filter=wanted)).events
    assert [it.id for it in found] == [event.id]


def test_the_envelope_says_what_the_typed_payload_says(running: RunningGateway) -> None:
    payload = '{"conference_id": 7, "call_control_id": 8, "call_session_id": 9, "client_state": 1}'

    event = posted(running, body_of('"conference.participant.joined"', payload))

    typed = event.conference_participant_joined
    assert (event.conference_id, event.call_control_id, event.call_session_id) == ("7", "8", "9")
    assert (typed.conference_id, typed.call_control_id, typed.call_session_id) == ("7", "8", "9")
    assert event.client_state == typed.client_state == "1"


def test_an_id_may_be_of_any_length(running: RunningGateway) -> None:
    id_ = "i" * 600 + event_id()
    payload = json.dumps({"conference_id": "c" * 5_000})

    event = posted(running, body_of('"conference.created"', payload, id_))

    assert event.id == id_
    assert event.conference_id == event.conference_created.conference_id == "c" * 5_000


def test_an_id_that_is_none_is_left_out_of_the_envelope_and_noted(running: RunningGateway) -> None:
    event = posted(running, body_of('"x.y"', '{"conference_id": {"a": 1}, "queue": false}'))

    assert (event.conference_id, event.queue_name) == ("", "")
    assert {it.path for it in event.notes} == {"data.payload.conference_id", "data.payload.queue"}
    assert {it.reason for it in event.notes} == {EVENT_NOTE_REASON_NOT_AN_ID}
