"""Webhook bodies to events: typed where the type is known, whole where it is not."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.event_pb2 import (
    EVENT_NOTE_REASON_NOT_A_TIME,
    EVENT_NOTE_REASON_NOT_AN_ID,
    EVENT_NOTE_REASON_NOT_AN_OBJECT,
    EVENT_NOTE_REASON_NOT_READ,
    EVENT_NOTE_REASON_SHOWN_AS_UNKNOWN,
    EVENT_NOTE_REASON_TEXT_REPAIRED,
    EVENT_NOTE_REASON_UNKNOWN_VALUE,
    EVENT_ORIGIN_LIVE,
    Event,
    EventNoteReason,
)
from gateway.ingest.webhooks.notes import Notes
from gateway.ingest.webhooks.struct import struct_of
from gateway.journal.events import NewEvent
from gateway.records.observer import Observer, ignore
from gateway.records.webhooks import EventNoted
from gateway.schema.annotations import enum_texts, rest_name
from gateway.schema.decoder import MessageDecoder, MismatchError
from gateway.schema.descriptors import enum_type, fields_of, message_class_of
from gateway.schema.event_keys import EventKey, declared_keys, payload_names
from gateway.schema.event_types import payload_fields
from gateway.schema.lenient_json import read
from gateway.schema.timestamps import parse_timestamp

_PAYLOAD = "data.payload"

_log = logging.getLogger(__name__)


class NotAnEventError(Exception):
    """A signed body that is no event; `reason` for programs, the text for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _TypedPayload(NamedTuple):
    """How the payload of one event type is read, the texts that its message has, and its enums.

    `field` is its name in `Event`; `words` are the words that each enum of the message has, by the
    enum's name in the payload.
    """

    field: str
    decode: Callable[[Any], Message]
    texts: frozenset[str]
    words: Mapping[str, frozenset[str]]


class WebhookDecoder:
    """Reads webhook bodies as events, by the messages of `Event.payload`.

    What is signed is stored, whatever it holds, and what is stored can be read by every client. An
    event of unknown type, or of a known type in an unknown shape, becomes `unknown`; what a message
    cannot show as it was sent stands in the event's `notes`, of each of whose reasons `observe` is
    told. `keys` are what events are found by.
    """

    def __init__(
        self,
        keys: Sequence[EventKey] | None = None,
        observe: Observer[EventNoted] = ignore,
    ) -> None:
        self._observe = observe
        self._keys = [key.name for key in (declared_keys() if keys is None else keys)]
        taken = payload_names()
        self._copied = [
            (name, names[1:])
            for name, names in taken.items()
            if Event.DESCRIPTOR.fields_by_name[name].type == FieldDescriptor.TYPE_STRING
        ]
        self._moments = taken["occurred_at"]
        self._typed = {
            event_type: _typed_payload(field) for event_type, field in payload_fields().items()
        }

    def decode(
        self,
        raw: bytes,
        received_at_us: int,
        origin: int = EVENT_ORIGIN_LIVE,
        traceparent: str = "",
    ) -> NewEvent:
        """Return the event of a body received at a time (microseconds). Raises NotAnEventError.

        `traceparent` is that of its receipt, empty if it is in no trace.
        """
        notes = Notes()
        data = _data_of(raw, notes)
        event_id, event_type = _text_of(data.get("id")), _text_of(data.get("event_type"))
        if not event_id or not event_type:
            raise NotAnEventError(
                "NOT_AN_EVENT", "the body's `data` lacks `id` or `event_type`: it is not an event"
            )
        try:
            content = self._content(event_type, data, notes)
        except Exception:
            # The provider retries for a minute and no longer: what this version fails to decode is
            # kept for the next one.
            _log.exception(
                "an event of type %.100r cannot be decoded; its bytes are stored", event_type
            )
            notes = Notes()
            notes.add("", EVENT_NOTE_REASON_NOT_READ)
            content = {}
        event = Event(
            id=event_id,
            type=event_type,
            received_at=Timestamp(
                seconds=received_at_us // 1_000_000, nanos=received_at_us % 1_000_000 * 1_000
            ),
            origin=origin,  # type: ignore[arg-type]
            traceparent=traceparent,
            **content,
        )
        if notes.first:
            event.notes.extend(notes.first)
            for reason in notes.reasons:
                name = EventNoteReason.Name(reason).removeprefix("EVENT_NOTE_REASON_")
                self._observe(EventNoted(name))
        content["type"] = event_type
        keys = tuple([content.get(name, "") for name in self._keys])
        return NewEvent(event_id, event_type, keys, received_at_us, event.SerializeToString(), raw)

    def _content(self, event_type: str, data: dict[str, Any], notes: Notes) -> dict[str, Any]:
        """Return an event's fields beside those of every event."""
        payload = data.get("payload")
        if payload is None:
            payload = {}
        if isinstance(payload, dict):
            typed, texts = self._read(event_type, payload, notes)
        else:
            # A typed message without any field would say that the provider sent none.
            notes.add(_PAYLOAD, EVENT_NOTE_REASON_NOT_AN_OBJECT)
            payload, typed, texts = {}, None, frozenset()

        def text(name: str) -> str:
            # One reading of a field: what the payload's message shows is what an event is found by.
            if name in texts:
                return str(getattr(typed, name))
            value = payload.get(name)
            if value is None:
                return ""
            found = _text_of(value)
            if not found and value != "":
                notes.add(f"{_PAYLOAD}.{name}", EVENT_NOTE_REASON_NOT_AN_ID)
            return found

        def first(name: str, others: Sequence[str]) -> str:
            # What was sent and cannot be read is never replaced by something else.
            if others and payload.get(name) in (None, ""):
                for other in others:
                    if payload.get(other) not in (None, ""):
                        return text(other)
            return text(name)

        content: dict[str, Any] = {name: first(name, others) for name, others in self._copied}
        content["occurred_at"] = self._occurred_at(data, payload, notes)
        if typed is not None:
            content[self._typed[event_type].field] = typed
        else:
            content["unknown"] = struct_of(payload, _PAYLOAD, notes)
        return content

    def _occurred_at(
        self, data: dict[str, Any], payload: dict[str, Any], notes: Notes
    ) -> Timestamp | None:
        # Some events have it beside the payload, some in it.
        for path, value in (
            ("data.occurred_at", data.get("occurred_at")),
            *((f"{_PAYLOAD}.{name}", payload.get(name)) for name in self._moments),
        ):
            if value is None or value == "":
                continue
            try:
                return parse_timestamp(value if isinstance(value, str) else "")
            except ValueError:
                notes.add(path, EVENT_NOTE_REASON_NOT_A_TIME)
        return None

    def _read(
        self, event_type: str, payload: dict[str, Any], notes: Notes
    ) -> tuple[Message | None, frozenset[str]]:
        known = self._typed.get(event_type)
        if known is None:
            return None, frozenset()
        try:
            typed = known.decode(payload)
        except MismatchError as mismatch:
            notes.add(f"{_PAYLOAD}.{mismatch.path}", EVENT_NOTE_REASON_SHOWN_AS_UNKNOWN)
            return None, frozenset()
        for name, words in known.words.items():
            # An empty word says as little as none.
            if payload.get(name) and payload[name] not in words:
                notes.add(f"{_PAYLOAD}.{name}", EVENT_NOTE_REASON_UNKNOWN_VALUE)
        return typed, known.texts


def _typed_payload(payload: FieldDescriptor) -> _TypedPayload:
    message_class = message_class_of(payload)
    fields = fields_of(message_class)
    return _TypedPayload(
        payload.name,
        MessageDecoder(message_class).decode,
        frozenset(field.name for field in fields if field.type == field.TYPE_STRING),
        {
            rest_name(field): frozenset(enum_texts(enum_type(field)).by_text)
            for field in fields
            if field.type == field.TYPE_ENUM
        },
    )


def _data_of(raw: bytes, notes: Notes) -> dict[str, Any]:
    try:
        document, repaired = read(raw)
    except ValueError:
        raise NotAnEventError("NOT_JSON", "the body is not JSON") from None
    if repaired:
        notes.add("", EVENT_NOTE_REASON_TEXT_REPAIRED)
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


def _text_of(value: Any) -> str:
    """Return an id or a word: a number is what was written, as in typed payloads."""
    return str(value) if isinstance(value, str | int | float) and type(value) is not bool else ""
