"""Webhooks that must be taken, and that are read in every way there is."""

import itertools
import json
from typing import Any

from google.protobuf.json_format import MessageToJson, Parse

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    POSITION_EARLIEST,
    GetEventRequest,
    GetEventResponse,
    ListEventsRequest,
    ListEventsResponse,
    SubscribeRequest,
    SubscribeResponse,
)
from tests.harness import odd_json
from tests.harness.gateway import RunningGateway
from tests.harness.webhooks import event_id

# For ids that no other event has.
numbers = itertools.count(10**9)

# Readers of protobuf stop at 100 messages below the outermost, by default.
READER_DEPTH = 100


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
