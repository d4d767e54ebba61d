"""Feeds as `tail -o json` writes them, read back as the webhooks that they were.

With `--raw` each line has the signed bytes, and the webhook is what it was. Without, it is made
from the event's fields: what the event does not show (`Event.notes`), or a type of payload does
not have, is not in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from google.protobuf.json_format import MessageToDict, Parse, ParseError

from conferencing.v1.event_pb2 import Event
from gateway.details import FieldViolation
from gateway.schema.descriptors import message_type
from gateway.schema.encoder import MessageEncoder
from gateway.schema.event_keys import payload_names
from gateway.schema.event_types import payload_fields
from gateway.schema.timestamps import format_timestamp

_UNKNOWN = "unknown"

# Where payloads have the time of their event; that of others stands beside the payload.
_TIMES = frozenset(payload_names()["occurred_at"])


class RecordingError(Exception):
    """A recorded feed cannot be read; the text says where, why and what to do."""


class RecordedWebhook(NamedTuple):
    """A webhook, and when it was received, in seconds since 1970."""

    at: float
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedFeed:
    """A file with an event on each line."""

    path: Path

    def count(self) -> int:
        """Read it through; return how many events it has. Raises RecordingError."""
        number = sum(1 for _ in self.webhooks())
        if number == 0:
            raise RecordingError(f"{self.path}: has no events; record some: {_HOW}")
        return number

    def webhooks(self) -> Iterator[RecordedWebhook]:
        """Yield the webhooks in the order of the file. Raises RecordingError."""
        encoders = {
            field.name: MessageEncoder(message_type(field)) for field in payload_fields().values()
        }
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield _read(line, f"{self.path}:{number}", encoders)
        except OSError as error:
            raise RecordingError(f"{self.path}: {error.strerror}") from None


_HOW = "telnyx-gateway tail --earliest --stop -o json --raw > FILE"


def _read(line: bytes, place: str, encoders: Mapping[str, MessageEncoder]) -> RecordedWebhook:
    try:
        event = Parse(line, Event(), ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise RecordingError(f"{place}: is no event as {_HOW} writes it: {reason}") from None
    if not event.id or not event.type or not event.HasField("received_at"):
        raise RecordingError(
            f"{place}: has no id, type or receivedAt: is it from {_HOW}? A template or -o text"
            " cannot be replayed"
        )
    at = event.received_at.ToNanoseconds() / 1e9
    return RecordedWebhook(at, _signed(event) or _made(event, encoders))


def _signed(event: Event) -> Mapping[str, Any] | None:
    """Return `data` of the webhook that was signed, None if it was not recorded."""
    if not event.raw_json:
        return None
    try:
        data = orjson.loads(event.raw_json)["data"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    # One that the gateway has read more leniently is made from what it has read.
    if not isinstance(data, dict) or data.get("id") != event.id:
        return None
    return data if data.get("event_type") == event.type else None


def _made(event: Event, encoders: Mapping[str, MessageEncoder]) -> Mapping[str, Any]:
    """Return `data` of a webhook that is read as this event."""
    name = event.WhichOneof("payload")
    payload: dict[str, Any] = {}
    if name == _UNKNOWN:
        payload = MessageToDict(event.unknown)
    elif name is not None:
        unsendable: list[FieldViolation] = []
        payload = encoders[name].encode(getattr(event, name), "", unsendable)
    data = {"id": event.id, "event_type": event.type, "record_type": "event", "payload": payload}
    if event.HasField("occurred_at") and payload.keys().isdisjoint(_TIMES):
        data["occurred_at"] = format_timestamp(event.occurred_at)
    return data
