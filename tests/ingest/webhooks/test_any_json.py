"""What is signed is stored, whatever it holds, and every client can read what is stored."""

import json
import logging
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conferencing.v1.event_pb2 import (
    EVENT_NOTE_REASON_NOT_READ,
    EVENT_NOTE_REASON_TEXT_REPAIRED,
    EVENT_NOTE_REASON_TOO_DEEP,
)
from conferencing.v1.event_service_pb2 import (
    EventFilter,
    ListEventsRequest,
)
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.schema.event_types import payload_fields
from tests.harness import odd_json
from tests.harness.gateway import RunningGateway
from tests.ingest.webhooks.posting import body_of, numbers, posted

KNOWN = sorted(payload_fields())


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
    number = next(numbers)
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
