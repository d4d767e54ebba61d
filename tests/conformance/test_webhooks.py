"""The gateway takes every webhook that the provider's own SDK takes, and loses nothing of it.

Random webhooks are made from the SDK's models, signed, given to the SDK's own `unwrap` and
posted to the gateway; what a subscriber gets is compared with what was posted.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import telnyx

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import POSITION_LATEST, SubscribeRequest
from gateway.schema.event_types import payload_fields
from tests.conformance.decoded import (
    expected,
    found,
    instant,
    microseconds,
    places_in,
    places_served,
)
from tests.conformance.repeatable import run_examples
from tests.conformance.sdk_strategies import Documents
from tests.conformance.sdk_webhooks import models_by_type, payload_of
from tests.harness.gateway import RunningGateway
from tests.harness.webhooks import event_id

# How many random webhooks of each type there are, in each of the two ages.
WEBHOOKS = 8

PAYLOADS = payload_fields()
MODELS = {type_: model for type_, model in models_by_type().items() if type_ in PAYLOADS}

# Where an event's own fields come from: the first of these that its payload has.
COPIED = {
    "conference_id": ["conference_id"],
    "call_control_id": ["call_control_id"],
    "call_leg_id": ["call_leg_id"],
    "call_session_id": ["call_session_id", "creator_call_session_id"],
    "connection_id": ["connection_id"],
    "queue_name": ["queue"],
    "client_state": ["client_state"],
}


class Inbox:
    """A subscriber that has been there from the beginning."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._stream = gateway.events.Subscribe(SubscribeRequest(position=POSITION_LATEST))
        next(self._stream)  # the stream is open

    def next(self) -> Event:
        """Return the next event; there must not be two."""
        for response in self._stream:
            if response.events:
                (event,) = response.events
                return event
        raise AssertionError("the stream has ended")

    def close(self) -> None:
        self._stream.cancel()


@pytest.fixture
def inbox(conforming: RunningGateway) -> Iterator[Inbox]:
    opened = Inbox(conforming)
    yield opened
    opened.close()


def test_the_sdk_has_a_model_for_every_typed_event() -> None:
    assert set(MODELS) == set(PAYLOADS)


def happened(data: dict[str, Any], payload: dict[str, Any]) -> int:
    """Return when an event happened, wherever it says so; a recording happened when it ended."""
    told = data.get("occurred_at"), payload.get("occurred_at"), payload.get("recording_ended_at")
    return next((instant(text) for text in told if text), 0)


@pytest.mark.parametrize("documents", [Documents(), Documents(newer=True)], ids=["known", "newer"])
@pytest.mark.parametrize("event_type", sorted(PAYLOADS))
def test_nothing_of_a_webhook_is_lost(
    conforming: RunningGateway,
    sdk: telnyx.Telnyx,
    inbox: Inbox,
    event_type: str,
    documents: Documents,
) -> None:
    model, field = MODELS[event_type], PAYLOADS[event_type]
    served: set[str] = set()

    def check(data: dict[str, Any]) -> None:
        data = {**data, "id": event_id(), "event_type": event_type}
        body = json.dumps({"data": data, "meta": {"attempt": 1}}).encode()
        headers = conforming.signer.telnyx(body)
        theirs: Any = sdk.webhooks.unwrap(
            body.decode(), headers=headers, key=conforming.signer.public_key
        )
        assert theirs.data.id == data["id"]

        assert conforming.webhooks.post(body, headers).status == 200
        event = inbox.next()

        payload = data.get("payload") or {}
        assert (event.id, event.type) == (data["id"], event_type)
        assert event.WhichOneof("payload") == field.name
        assert found(getattr(event, field.name)) == expected(
            field.message_type, payload, payload_of(model)
        )
        for name, sources in COPIED.items():
            values = [payload[source] for source in sources if payload.get(source)]
            assert getattr(event, name) == (values[0] if values else "")
        assert microseconds(event.occurred_at) == happened(data, payload)
        if not documents.newer:
            model.model_validate(data)
        served.update(places_served(data, model))

    # The SDK's models let even these be left out, but a body without them is no event.
    places = {it for it in places_in(model) if it.split(" ")[0] not in ("id", "event_type")}
    run_examples(f"{event_type} {documents}", WEBHOOKS, check, documents.of(model))
    # What chance has left out is put in.
    for place in sorted(places - served):
        run_examples(f"{event_type} {documents} {place}", 2, check, documents.of(model, place))
    assert places - served == set()
