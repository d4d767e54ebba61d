"""All typed webhooks, in both signature schemes, read as typed events from a stream."""

import base64
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict

from conferencing.v1.event_pb2 import EVENT_ORIGIN_LIVE, Event
from conferencing.v1.event_service_pb2 import POSITION_EARLIEST, SubscribeRequest
from gateway.schema.annotations import enum_texts, rest_name
from gateway.schema.descriptors import enum_type, message_type
from gateway.schema.event_keys import payload_names
from gateway.schema.event_types import payload_fields
from tests.harness.gateway import RunningGateway
from tests.harness.webhooks import event_id, webhook

F = FieldDescriptor
PAYLOADS = payload_fields()
TYPES = sorted(PAYLOADS)
TIME = "2026-01-31T12:00:00.123456Z"

# Where payloads have the time of their event; that of others stands beside the payload.
TIMES = frozenset(payload_names()["occurred_at"])


def full_payload(descriptor: Any) -> dict[str, Any]:
    """A payload in which every field has a value that no other has."""
    payload: dict[str, Any] = {}
    for number, field in enumerate(descriptor.fields, 1):
        name = rest_name(field)
        if field.type == F.TYPE_ENUM:
            payload[name] = list(enum_texts(enum_type(field)).by_text)[-1]
        elif field.type == F.TYPE_INT32:
            payload[name] = number
        elif field.type == F.TYPE_MESSAGE and "Timestamp" in message_type(field).full_name:
            payload[name] = TIME
        elif field.type == F.TYPE_MESSAGE:
            payload[name] = full_payload(message_type(field))
        else:
            payload[name] = f"{name}-{number}"
    return payload


def typed(event: Event) -> dict[str, Any]:
    """The typed payload of an event, as JSON in the provider's words."""
    name = PAYLOADS[event.type].name
    assert event.WhichOneof("payload") == name
    message = getattr(event, name)
    values = MessageToDict(message, preserving_proto_field_name=True)
    for field in message.DESCRIPTOR.fields:
        if field.type == F.TYPE_ENUM:
            texts = enum_texts(enum_type(field)).by_number
            values[field.name] = texts[getattr(message, field.name)]
    return {rest_name(field): values[field.name] for field in message.DESCRIPTOR.fields}


@pytest.mark.parametrize("scheme", ["telnyx", "standard"])
def test_every_webhook_arrives_as_a_typed_event(fresh: RunningGateway, scheme: str) -> None:
    stream = fresh.events.Subscribe(SubscribeRequest())
    next(stream)  # the stream is open
    sent: dict[str, tuple[str, dict[str, Any]]] = {}
    for event_type in TYPES:
        payload = full_payload(message_type(PAYLOADS[event_type]))
        id_ = event_id()
        data = {} if TIMES & payload.keys() else {"occurred_at": TIME}
        body = webhook(event_type, payload, id_, **data)
        sign = fresh.signer.telnyx if scheme == "telnyx" else fresh.signer.standard
        assert fresh.webhooks.post(body, sign(body)).status == 200
        sent[event_type] = (id_, payload)

    events: list[Event] = []
    while len(events) < len(TYPES):
        events.extend(next(stream).events)
    stream.cancel()

    assert [event.sequence for event in events] == list(range(1, len(TYPES) + 1))
    for event in events:
        id_, payload = sent[event.type]
        assert event.id == id_
        assert typed(event) == payload
        assert event.origin == EVENT_ORIGIN_LIVE
        assert event.occurred_at.ToJsonString() == TIME
        assert abs(event.received_at.seconds - datetime.now(UTC).timestamp()) < 60
        for name in ("conference_id", "call_control_id", "call_leg_id", "client_state"):
            assert getattr(event, name) == payload.get(name, "")
        assert event.connection_id == payload["connection_id"]
        assert event.queue_name == payload.get("queue", "")
        session = payload.get("call_session_id") or payload.get("creator_call_session_id")
        assert event.call_session_id == session


def test_an_unknown_event_is_delivered_whole(fresh: RunningGateway) -> None:
    payload = {"call_control_id": "v3:x", "conference_id": "c9", "new": {"deep": [1, None, "x"]}}
    fresh.webhooks.post(webhook("conference.mood.changed", payload))

    event = all_events(fresh)[0]

    assert event.type == "conference.mood.changed"
    assert event.WhichOneof("payload") == "unknown"
    assert MessageToDict(event.unknown) == payload
    assert (event.conference_id, event.call_control_id) == ("c9", "v3:x")


def test_a_known_event_in_an_unknown_shape_is_delivered_whole(fresh: RunningGateway) -> None:
    payload = {"conference_id": "c9", "client_state": {"not": "a text"}}
    fresh.webhooks.post(webhook("conference.created", payload))

    event = all_events(fresh)[0]

    assert event.WhichOneof("payload") == "unknown"
    assert MessageToDict(event.unknown) == payload


@pytest.mark.slow
@pytest.mark.parametrize(
    "payload",
    [
        b'{"a": ' + b'{"a": ' * 60 + b"1" + b"}" * 61,
        b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"a": "\\ud800"}',
        b'{"a": 1e400}',
        b'{"client_state": "' + b"x" * 2_000 + b'"}',
    ],
)
def test_whatever_was_signed_is_kept(fresh: RunningGateway, payload: bytes) -> None:
    body = b'{"data": {"id": "odd", "event_type": "x.y", "payload": ' + payload + b"}}"

    reply = fresh.webhooks.post(body)

    assert reply.status == 200, reply
    (event,) = all_events(fresh, include_raw=True)
    assert (event.id, event.raw_json) == ("odd", body)
    if b"client_state" in payload:
        assert len(event.client_state) == 2_000


@pytest.mark.slow
@pytest.mark.parametrize("payload", [None, [], "x", {}])
def test_an_event_needs_no_payload(fresh: RunningGateway, payload: Any) -> None:
    body = json.dumps({"data": {"id": "e", "event_type": "odd", "payload": payload}}).encode()

    assert fresh.webhooks.post(body).status == 200
    assert all_events(fresh)[0].type == "odd"


def test_the_signed_bytes_come_back_exactly(fresh: RunningGateway) -> None:
    body = b' {"data":\t{"id":"e1","event_type":"x.y","payload":{"a":1.0}}} '
    fresh.webhooks.post(body)

    (event,) = all_events(fresh, include_raw=True)

    assert event.raw_json == body
    assert all_events(fresh)[0].raw_json == b""


@pytest.mark.slow
def test_a_recording_happened_when_it_ended(fresh: RunningGateway) -> None:
    payload = {"recording_started_at": "2026-01-31T12:00:00Z", "recording_ended_at": TIME}
    fresh.webhooks.post(webhook("conference.recording.saved", payload))

    assert all_events(fresh)[0].occurred_at.ToJsonString() == TIME


@pytest.mark.slow
def test_random_bytes_never_get_a_server_error(gateway: RunningGateway) -> None:
    random_ = random.Random(7)
    valid = webhook()
    for _ in range(300):
        body = bytearray(valid)
        for _ in range(random_.randint(1, 5)):
            body[random_.randrange(len(body))] = random_.randrange(256)
        mutated = bytes(body[: random_.randint(0, len(body))])
        assert gateway.webhooks.post(mutated).status < 500
        noise = base64.b64encode(random_.randbytes(64)).decode()
        headers = {"telnyx-timestamp": noise, "telnyx-signature-ed25519": noise}
        assert gateway.webhooks.post(valid, headers).status == 400


def all_events(gateway: RunningGateway, *, include_raw: bool = False) -> list[Event]:
    request = SubscribeRequest(
        position=POSITION_EARLIEST, stop_when_caught_up=True, include_raw=include_raw
    )
    return [event for response in gateway.events.Subscribe(request) for event in response.events]
