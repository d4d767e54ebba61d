"""Webhook bodies to events: typed where the type is known, whole where it is not."""

import json
from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.event_pb2 import EVENT_ORIGIN_LIVE, Event
from gateway.codec.decoder import MessageDecoder, MismatchError
from gateway.codec.descriptors import message_class_of
from gateway.codec.timestamps import parse_timestamp
from gateway.events.entry import EventKeys, NewEvent

# Objects within objects in an unknown event. Readers of protobuf stop at 100 messages within each
# other, and each level of a Struct takes up to three.
_DEPTH_MAX = 30

# Ids and types are short; longer ones would bloat the log's indexes.
_TEXT_MAX = 512


class NotAnEventError(Exception):
    """A signed body that is no event; `reason` for programs, the text for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WebhookDecoder:
    """Reads webhook bodies as events, by the messages of `Event.payload`.

    An event of unknown type, or of a known type in an unknown shape, becomes `unknown`: nothing
    that was signed is refused because this version does not understand it.
    """

    def __init__(self) -> None:
        members = Event.DESCRIPTOR.oneofs_by_name["payload"].fields
        self._decoders: dict[str, Callable[[Any], Message]] = {
            field.name.replace("_", "."): MessageDecoder(message_class_of(field)).decode
            for field in members
            if field.name != "unknown"
        }

    @property
    def known_types(self) -> frozenset[str]:
        """The event types that have a payload message of their own."""
        return frozenset(self._decoders)

    def decode(self, raw: bytes, received_at_us: int, origin: int = EVENT_ORIGIN_LIVE) -> NewEvent:
        """Return the event of a body received at a time (microseconds). Raises NotAnEventError."""
        data = _data_of(raw)
        event_id, event_type = _text(data, "id"), _text(data, "event_type")
        if not event_id or not event_type:
            raise NotAnEventError(
                "NOT_AN_EVENT", "the body's `data` lacks `id` or `event_type`: it is not an event"
            )
        payload = data.get("payload")
        if not isinstance(payload, dict):
            payload = {}
        keys = EventKeys(
            type=event_type,
            conference_id=_text(payload, "conference_id"),
            queue_name=_text(payload, "queue") or _text(payload, "queue_name"),
            call_control_id=_text(payload, "call_control_id"),
            call_session_id=_text(payload, "call_session_id")
            or _text(payload, "creator_call_session_id"),
            connection_id=_text(payload, "connection_id"),
        )
        event = Event(
            id=event_id,
            type=event_type,
            occurred_at=_occurred_at(data, payload),
            received_at=Timestamp(
                seconds=received_at_us // 1_000_000, nanos=received_at_us % 1_000_000 * 1_000
            ),
            conference_id=keys.conference_id,
            call_control_id=keys.call_control_id,
            call_leg_id=_text(payload, "call_leg_id"),
            call_session_id=keys.call_session_id,
            connection_id=keys.connection_id,
            queue_name=keys.queue_name,
            client_state=_any_text(payload, "client_state"),
            origin=origin,  # type: ignore[arg-type]
            **self._payload(event_type, payload),
        )
        return NewEvent(event_id, keys, received_at_us, event.SerializeToString(), raw)

    def _payload(self, event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
        decode = self._decoders.get(event_type)
        if decode is not None:
            try:
                return {event_type.replace(".", "_"): decode(payload)}
            except MismatchError:
                pass
        if _depth(payload) > _DEPTH_MAX:
            return {}  # the signed bytes have it all the same
        unknown = Struct()
        unknown.update(payload)
        return {"unknown": unknown}


def _data_of(raw: bytes) -> dict[str, Any]:
    try:
        document = _document(raw)
    except (ValueError, RecursionError):
        raise NotAnEventError("NOT_JSON", "the body is not JSON") from None
    data = document.get("data") if isinstance(document, dict) else None
    if isinstance(data, dict):
        return data
    if isinstance(document, dict) and "event_type" in document:
        raise NotAnEventError(
            "API_VERSION_1",
            "the event has no `data`: the voice application delivers API version 1 webhooks, set it"
            " to API version 2",
        )
    raise NotAnEventError("NOT_AN_EVENT", "the body has no `data` object: it is not an event")


def _document(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except ValueError:
        # The standard library also reads what no strict reader does, such as half of a surrogate
        # pair or 1e400: whatever was signed is worth keeping.
        return _repaired(json.loads(raw))


def _repaired(value: Any) -> Any:
    """Return a JSON value whose texts are all Unicode."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_repaired(item) for item in value]
    if isinstance(value, dict):
        return {_repaired(name): _repaired(item) for name, item in value.items()}
    return value


def _depth(value: Any) -> int:
    deepest = 0
    level = [value]
    while level and deepest <= _DEPTH_MAX:
        deepest += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return deepest


def _text(container: dict[str, Any], name: str) -> str:
    value = _any_text(container, name)
    return value if len(value) <= _TEXT_MAX else ""


def _any_text(container: dict[str, Any], name: str) -> str:
    value = container.get(name)
    return value if isinstance(value, str) else ""


def _occurred_at(data: dict[str, Any], payload: dict[str, Any]) -> Timestamp | None:
    # Some events say it beside the payload, some in it; a saved recording says when it ended.
    for text in (
        data.get("occurred_at"),
        payload.get("occurred_at"),
        payload.get("recording_ended_at"),
    ):
        if isinstance(text, str):
            try:
                return parse_timestamp(text)
            except ValueError:
                continue
    return None
