"""What `tail -o json` has written is read back as the webhooks that it came from."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import ListEventsRequest
from gateway.client.event_forms import form_of
from gateway.client.event_text import EventText
from gateway.recorded import RecordedFeed, RecordingError
from gateway.sandbox import SandboxServer, SandboxSettings
from gateway.sandbox.events import EVENT_TYPES
from gateway.schema.descriptors import message_type
from gateway.schema.event_types import payload_fields
from gateway.simulation import Piece
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway
from tests.harness.webhooks import webhook
from tests.ingest.webhooks.test_all_webhooks import TIME, TIMES, full_payload

JSON = form_of("json", EventText())


def stored(gateway: RunningGateway, *, raw: bool) -> list[Event]:
    request = ListEventsRequest(include_raw=raw, page_size=100)
    return list(gateway.events.ListEvents(request).events)


def recorded(folder: Path, events: list[Event]) -> RecordedFeed:
    path = folder / "feed.jsonl"
    path.write_text("".join(f"{JSON(it)}\n" for it in events))
    return RecordedFeed(path)


def post_all(gateway: RunningGateway) -> list[dict[str, Any]]:
    """Post a webhook of each type with all fields, and one of an unknown type; return them."""
    bodies = []
    for type_, field in sorted(payload_fields().items()):
        payload = full_payload(message_type(field))
        more = {} if TIMES & payload.keys() else {"occurred_at": TIME}
        bodies.append(webhook(type_, payload, **more))
    bodies.append(webhook("call.mood.changed", {"deep": [1, {"x": None}], "conference_id": "c"}))
    for body in bodies:
        assert gateway.webhooks.post(body).status == 200
    return [json.loads(it)["data"] for it in bodies]


@pytest.mark.parametrize("raw", [True, False])
def test_a_webhook_of_each_type_is_read_back(
    fresh: RunningGateway, tmp_path: Path, raw: bool
) -> None:
    sent = post_all(fresh)
    events = stored(fresh, raw=raw)
    feed = recorded(tmp_path, events)

    assert [it.data for it in feed.webhooks()] == sent
    assert [it.at for it in feed.webhooks()] == [
        it.received_at.ToNanoseconds() / 1e9 for it in events
    ]
    assert feed.count() == len(sent) == 17


def test_the_signed_bytes_have_what_no_field_shows(fresh: RunningGateway, tmp_path: Path) -> None:
    fresh.webhooks.post(webhook("conference.created", {"conference_id": "c1", "new": [1]}))

    (with_raw,) = recorded(tmp_path, stored(fresh, raw=True)).webhooks()
    (without,) = recorded(tmp_path, stored(fresh, raw=False)).webhooks()

    assert with_raw.data["payload"] == {"conference_id": "c1", "new": [1]}
    assert without.data["payload"] == {"conference_id": "c1"}


@pytest.mark.slow
def test_a_replay_into_another_gateway_makes_the_same_feed(
    fresh: RunningGateway, start_gateway: StartGateway, tmp_path: Path
) -> None:
    post_all(fresh)
    before = stored(fresh, raw=False)
    path = recorded(tmp_path, before).path
    with SandboxServer(SandboxSettings()) as sandbox:
        log = f"sqlite:///{tmp_path / 'other' / 'events.db'}"
        other = start_gateway(
            sandbox.base_url, public_key=sandbox.public_key, GATEWAY_EVENT_LOG=log
        )
        sandbox.control.set_webhook_url(other.webhook_url)
        recording: Any = Piece.recording(path, fast=True).what
        sandbox.replay(recording)
        assert sandbox.control.what_plays()["count"] == len(before)
        sandbox.control.wait_until_delivered()
        after = stored(other, raw=False)

    for events in (before, after):
        for it in events:
            it.ClearField("cursor")
            it.ClearField("received_at")
    assert after == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no events; record some: telnyx-gateway tail"),
        ("{\n", "feed.jsonl:1: is no event as telnyx-gateway tail"),
        ('\n{"id": 3}\n', "feed.jsonl:2: is no event"),
        ("12:00 conference.created\n", "feed.jsonl:1: is no event"),
        ('{"id": "e1"}\n', "feed.jsonl:1: has no id, type or receivedAt"),
        (b"\xff\n", "feed.jsonl:1: is no event"),
        ("[" * 100_000, "feed.jsonl:1: is no event"),
    ],
)
def test_what_is_no_recorded_feed_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(RecordingError) as caught:
        RecordedFeed(path).count()
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        RecordedFeed(tmp_path / "none").count()


def test_signed_bytes_that_are_not_of_the_event_are_not_believed(tmp_path: Path) -> None:
    event = Event(id="e1", type="conference.created", raw_json=webhook("x", id_="e2"))
    event.received_at.GetCurrentTime()
    event.conference_created.conference_id = "c1"
    path = tmp_path / "feed.jsonl"
    path.write_text(MessageToJson(event, indent=None))

    (found,) = RecordedFeed(path).webhooks()

    assert found.data["id"] == "e1"
    assert found.data["payload"] == {"conference_id": "c1"}


def test_the_sandbox_knows_all_types_of_events() -> None:
    assert payload_fields().keys() == EVENT_TYPES
