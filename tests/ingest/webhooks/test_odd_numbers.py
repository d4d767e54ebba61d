"""Numbers and times in webhooks: shown as they were sent, or not at all, and then it is noted."""

import json

import pytest
from google.protobuf.json_format import MessageToDict

from conferencing.v1.event_pb2 import (
    EVENT_NOTE_REASON_NOT_A_TIME,
    EVENT_NOTE_REASON_NUMBER_AS_TEXT,
    EVENT_NOTE_REASON_SHOWN_AS_UNKNOWN,
)
from tests.harness.gateway import RunningGateway
from tests.ingest.webhooks.posting import body_of, noted, posted


def test_a_number_beyond_a_double_keeps_its_digits_as_text(running: RunningGateway) -> None:
    payload = f'{{"a": {2**53 + 1}, "b": [{"7" * 310}, 1e999], "c": NaN, "d": {2**53}, "e": 0.5}}'

    event = posted(running, body_of('"x.y"', payload))

    assert MessageToDict(event.unknown) == {
        "a": str(2**53 + 1),
        "b": ["7" * 310, "1e999"],
        "c": "NaN",
        "d": float(2**53),
        "e": 0.5,
    }
    assert {it.path: it.reason for it in event.notes} == dict.fromkeys(
        ("data.payload.a", "data.payload.b[0]", "data.payload.b[1]", "data.payload.c"),
        EVENT_NOTE_REASON_NUMBER_AS_TEXT,
    )


@pytest.mark.parametrize(
    "written",
    [
        "9007199254740993.0",
        "1e-400",
        "123456789012345678e0",
        "1234567890123456789.5",
        "0.30000000000000000001",
    ],
)
def test_a_fraction_keeps_the_digits_that_a_double_loses_as_text(
    running: RunningGateway, written: str
) -> None:
    event = posted(running, body_of('"x.y"', f'{{"a": [{{"b": {written}}}], "c": 1.50}}'))

    assert MessageToDict(event.unknown) == {"a": [{"b": written}], "c": 1.5}
    assert noted(event) == {"data.payload.a[0].b": EVENT_NOTE_REASON_NUMBER_AS_TEXT}


def test_a_count_that_a_double_would_change_is_never_shown_as_another(
    running: RunningGateway,
) -> None:
    exact = posted(running, body_of('"call.enqueued"', '{"current_position": 1e1}'))
    tiny = posted(running, body_of('"call.enqueued"', '{"current_position": 1e-400}'))

    assert exact.call_enqueued.current_position == 10
    assert tiny.unknown["current_position"] == "1e-400"
    assert EVENT_NOTE_REASON_SHOWN_AS_UNKNOWN in {it.reason for it in tiny.notes}


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z", "later"],
)
def test_a_time_that_no_timestamp_holds_is_left_out_and_noted(
    running: RunningGateway, text: str
) -> None:
    beside = posted(running, body_of('"x.y"', "{}", more=f'"occurred_at": "{text}", '))
    inside = posted(running, body_of('"conference.ended"', json.dumps({"occurred_at": text})))

    for event in (beside, inside):
        assert not event.HasField("occurred_at")
        assert EVENT_NOTE_REASON_NOT_A_TIME in {it.reason for it in event.notes}


def test_the_last_hour_that_a_timestamp_holds_is_shown(running: RunningGateway) -> None:
    more = '"occurred_at": "9999-12-31T23:59:59.999999999+00:00", '

    event = posted(running, body_of('"x.y"', "{}", more=more))

    assert event.occurred_at.ToJsonString() == "9999-12-31T23:59:59.999999999Z"
