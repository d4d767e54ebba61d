"""What is signed is stored, whatever it holds, and what is stored can be read by every client."""

import itertools
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, MessageToJson, Parse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import (
    EVENT_NOTE_REASON_NOT_A_TIME,
    EVENT_NOTE_REASON_NOT_AN_ID,
    EVENT_NOTE_REASON_NOT_AN_OBJECT,
    EVENT_NOTE_REASON_NOT_READ,
    EVENT_NOTE_REASON_NUMBER_AS_TEXT,
    EVENT_NOTE_REASON_SHOWN_AS_UNKNOWN,
    EVENT_NOTE_REASON_TEXT_REPAIRED,
    EVENT_NOTE_REASON_TOO_DEEP,
    EVENT_NOTE_REASON_UNKNOWN_VALUE,
    Event,
)
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    EventFilter,
    GetEventRequest,
    GetEventResponse,
    ListEventsRequest,
    ListEventsResponse,
    SubscribeRequest,
    SubscribeResponse,
)
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.records.webhooks import WebhookReceived
from tests.harness import odd_json
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.webhooks import event_id

KNOWN = sorted(WebhookDecoder().known_types)
_numbers = itertools.count(10**9)

# Readers of protobuf stop at 100 messages below the outermost, by default.
READER_DEPTH = 100


@pytest.fixture(scope="module")
def running(loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    gateway = RunningGateway(loop, tmp_path_factory.mktemp("edge"), "http://127.0.0.1:9/v2")
    yield gateway
    gateway.close()


def body_of(type_: str, payload: str, id_: str | None = None, more: str = "") -> bytes:
    return odd_json.surrogates_apart(
        f'{{"data": {{"id": {json.dumps(id_ or event_id())}, "event_type": {type_}, {more}'
        f'"payload": {payload}}}}}'
    )


def depth_of(message: Any) -> int:
    inner = [0]
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner += [1 + depth_of(it) for it in value.values()]
        else:
            inner += map(depth_of, value if field.is_repeated else [value])
    return 1 + max(inner)


def readable(message: Any) -> None:
    """What clients do with a response, in any language."""
    text = MessageToJson(message)
    again = type(message)()
    Parse(text, again)
    assert again == message
    assert type(message).FromString(message.SerializeToString()) == message
    assert depth_of(message) - 1 <= READER_DEPTH
    text.encode()


def posted(gateway: RunningGateway, body: bytes) -> Event:
    """Post a webhook that must be taken, and have it read in every way there is."""
    after = ListEventsRequest(newest_first=True, page_size=1)
    before = list(gateway.events.ListEvents(after).events)
    reply = gateway.webhooks.post(body)
    assert (reply.status, reply.body) == (200, {"status": "stored"})
    listed: ListEventsResponse = gateway.events.ListEvents(after)
    readable(listed)
    event = listed.events[0]
    found: GetEventResponse = gateway.events.GetEvent(
        GetEventRequest(event_id=event.id, include_raw=True)
    )
    readable(found)
    assert found.event.raw_json == body
    request = SubscribeRequest(stop_when_caught_up=True, include_raw=True)
    if before:
        request.after_cursor = before[0].cursor
    else:
        request.position = POSITION_EARLIEST
    streamed: list[SubscribeResponse] = list(gateway.events.Subscribe(request, timeout=20))
    for response in streamed:
        readable(response)
    assert [it.id for response in streamed for it in response.events] == [event.id]
    return found.event


def noted(event: Event) -> dict[str, int]:
    return {note.path: note.reason for note in event.notes}


@pytest.mark.slow
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    type_=st.sampled_from(KNOWN).map(json.dumps)
    | odd_json.strings.filter(lambda it: it != '""')
    | odd_json.numbers,
    payload=odd_json.objects | odd_json.values,
    moment=odd_json.values | st.sampled_from(['"9999-12-31T23:59:59-01:00"', '"0000-01-01"']),
    numeric_id=st.booleans(),
)
def test_any_json_that_is_signed_is_stored_and_every_client_can_read_it(
    running: RunningGateway, type_: str, payload: str, moment: str, numeric_id: bool
) -> None:
    body = body_of(type_, payload, "ID", f'"occurred_at": {moment}, ')
    number = next(_numbers)
    body = body.replace(b'"ID"', b"%d" % number if numeric_id else b'"e%d"' % number, 1)

    event = posted(running, body)

    assert event.id == f"{'' if numeric_id else 'e'}{number}"
    if event.WhichOneof("payload") not in ("unknown", None):
        typed = getattr(event, event.WhichOneof("payload") or "")
        for name in ("conference_id", "call_control_id", "connection_id", "client_state"):
            assert getattr(event, name) == getattr(typed, name, getattr(event, name))
    for name in ("conference_id", "queue_name", "call_control_id", "call_session_id"):
        if value := getattr(event, name):
            wanted = EventFilter(**{f"{name.removesuffix('s')}s": [value]})
            request = ListEventsRequest(filter=wanted, newest_first=True, page_size=1)
            assert running.events.ListEvents(request).events[0].id == event.id


# Numbers


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


def test_what_a_message_shows_as_it_was_sent_needs_no_note(running: RunningGateway) -> None:
    payload = '{"connection_id": "16846411232360542440000", "list": [1, -2.5, {"deep": null}]}'

    assert not posted(running, body_of('"x.y"', payload)).notes
    assert not posted(running, body_of('"conference.created"', '{"conference_id": "c"}')).notes


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


# Ids


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
    number = next(_numbers)

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
    number = 10**17 + next(_numbers)
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


# Times


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


# Depth


@pytest.mark.parametrize("depth", [100, 1_025, 20_000])
@pytest.mark.parametrize(
    ("opening", "closing", "shown"), [('{"a":', "}", 31), ("[", "]", 46)], ids=["objects", "lists"]
)
def test_what_is_nested_deeper_than_readers_go_is_cut_there_and_noted(
    running: RunningGateway, opening: str, closing: str, shown: int, depth: int
) -> None:
    payload = '{"top": ' + opening * depth + "1" + closing * depth + ', "flat": "kept"}'

    event = posted(running, body_of('"x.y"', payload))

    value = MessageToDict(event.unknown)["top"]
    levels = 1
    while isinstance(value, dict | list):
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
        levels += 1
    assert (levels, value) == (shown, None)
    assert event.unknown["flat"] == "kept"
    assert [it.reason for it in event.notes] == [EVENT_NOTE_REASON_TOO_DEEP]


def test_depth_beside_the_payload_hurts_nobody(running: RunningGateway) -> None:
    body = body_of('"conference.created"', '{"conference_id": "c"}')
    body = body[:-1] + b', "meta": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"

    event = posted(running, body)

    assert event.conference_created.conference_id == "c"


# Texts


def test_half_of_an_emoji_is_shown_as_its_escape_and_noted(running: RunningGateway) -> None:
    event = posted(running, body_of('"x.y"', r'{"conference_id": "cut \ud83d", "a\udc00": 1}'))

    assert event.conference_id == r"cut \ud83d"
    assert MessageToDict(event.unknown) == {"conference_id": r"cut \ud83d", r"a\udc00": 1.0}
    assert [it.reason for it in event.notes] == [EVENT_NOTE_REASON_TEXT_REPAIRED]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body.replace(b"caf", b"caf\xff"),
        lambda body: body.replace(b"caf", b"c\x01\naf"),
        lambda body: body.decode().encode("utf-16"),
    ],
    ids=["a byte order mark", "a byte that is not UTF-8", "control characters", "UTF-16"],
)
def test_bytes_that_no_strict_reader_takes_are_kept_with_what_can_be_read(
    running: RunningGateway, change: Any
) -> None:
    event = posted(running, change(body_of('"x.y"', '{"conference_id": "1", "a": "caf"}')))

    assert event.conference_id == "1"
    assert "af" in str(event.unknown["a"])


# Payloads that do not fit


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


# Mistakes of ours


def test_what_the_gateway_itself_stumbles_over_is_kept_with_its_bytes(
    fresh: RunningGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(WebhookDecoder, "_content", stumble)
    with caplog.at_level(logging.ERROR):
        event = posted(fresh, body_of('"conference.created"', '{"conference_id": "c"}'))

    assert event.type == "conference.created"
    assert [it.reason for it in event.notes] == [EVENT_NOTE_REASON_NOT_READ]
    assert "cannot be decoded" in caplog.text


def test_notes_are_counted(fresh: RunningGateway) -> None:
    posted(fresh, body_of('"x.y"', '{"a": 1e999, "b": 1e999}'))

    text = fresh.metrics()
    assert 'gateway_event_notes_total{reason="NUMBER_AS_TEXT"} 1.0' in text


def test_event_types_of_any_kind_and_number_leave_the_metrics_small(
    running: RunningGateway,
) -> None:
    metrics = running.app._metrics
    for number in range(3_000):
        metrics.webhook_received(WebhookReceived("stored", f"type-{number}", 1, 0.0, 0.0))
    metrics.webhook_received(WebhookReceived("stored", "t" * 100_000, 1, 0.0, 0.0))

    text = metrics.text().decode()
    assert text.count("gateway_events_total{") < 1_100
    assert 'gateway_events_total{type="other"}' in text
    assert "t" * 200 not in text
