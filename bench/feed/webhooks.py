"""The webhooks that are posted: by number, so that whoever reads an event knows what it has to be.

Numbers stand in ids as twelve digits: an event can be made from another by changing digits.
"""

import base64
import time
from dataclasses import dataclass

from nacl.signing import SigningKey

from conferencing.v1.event_pb2 import Event
from gateway.ingest.webhooks.decoder import WebhookDecoder
from gateway.journal.events import Keys, NewEvent
from gateway.schema.event_keys import declared_keys

# Conferences that everybody's events belong to, where it does not matter which.
CONFERENCES = 50

_DIGITS = "%012d"
# What the events are found by.
KEYS = declared_keys()

_TYPES = ("conference.participant.joined", "conference.participant.left")
_ID = f"5eed0000-0000-4000-8000-{_DIGITS}"
_CONFERENCE = f"c0fe0000-0000-4000-8000-{_DIGITS}"
_CALL = f"v3:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJ{_DIGITS}"
_SESSION = "428c31b6-abf3-3bc1-b7f4-5013ef9657c1"
_CONNECTION = "1684641123236054244"
_OCCURRED_AT = "2026-01-31T12:00:00.123456Z"
_BODY = (
    '{"data":{"event_type":"%s","id":"%s","occurred_at":"%s",'
    '"payload":{"call_control_id":"%s","call_leg_id":"11dc0000-f3e4-11e8-af5b-%012d",'
    '"call_session_id":"%s",'
    '"client_state":"aGF2ZSBhIG5pY2UgZGF5ID1d","conference_id":"%s",'
    '"connection_id":"%s"},"record_type":"event"},'
    '"meta":{"attempt":1,"delivered_to":"https://hooks.example.com/webhooks/telnyx"}}'
)
_HEAD = (
    "POST /webhooks/telnyx HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    "content-length: %d\r\ntelnyx-timestamp: %s\r\ntelnyx-signature-ed25519: %s\r\n\r\n"
)

# Numbers whose digits occur nowhere else in a body.
_MARK = 987_654_321_980
_CONFERENCE_MARK = 345_678_901_234

# The same in every process of the bench.
_KEY = SigningKey(b"telnyx-grpc-gateway bench feed k")
RAW_PUBLIC_KEY = bytes(_KEY.verify_key)
PUBLIC_KEY = base64.b64encode(RAW_PUBLIC_KEY).decode()


def conference_id(conference: int) -> str:
    """Return the id of a conference."""
    return _CONFERENCE % conference


def body(number: int, conferences: int) -> bytes:
    """Return the body of the event with a number; conferences take turns."""
    return _body(number, number % conferences)


def _body(number: int, conference: int) -> bytes:
    return body_of(_TYPES[number % 2], number, number, conference, _OCCURRED_AT)


def body_of(type_: str, number: int, person: int, conference: int, occurred_at: str) -> bytes:
    """Return the body of an event about a person's call."""
    fields = (
        type_,
        _ID % number,
        occurred_at,
        _CALL % person,
        person,
        _SESSION,
        conference_id(conference),
        _CONNECTION,
    )
    return (_BODY % fields).encode()


def request(number: int, conferences: int, timestamp: str) -> bytes:
    """Return the whole signed HTTP request."""
    return request_of(body(number, conferences), timestamp)


def request_of(content: bytes, timestamp: str) -> bytes:
    """Return the whole signed HTTP request that has a body."""
    signature = _KEY.sign(f"{timestamp}|".encode() + content).signature
    head = _HEAD % (len(content), timestamp, base64.b64encode(signature).decode())
    return head.encode() + content


def id_of(number: int) -> str:
    """Return the id of the event with a number."""
    return _ID % number


def type_of(number: int) -> str:
    """Return the type of the event with a number."""
    return _TYPES[number % 2]


def keys_of(number: int, conferences: int) -> Keys:
    """Return the keys of the event with a number."""
    values = {
        "type": type_of(number),
        "conference_id": conference_id(number % conferences),
        "call_control_id": _CALL % number,
        "call_session_id": _SESSION,
        "connection_id": _CONNECTION,
    }
    return tuple(values.get(key.name, "") for key in KEYS)


@dataclass(frozen=True, slots=True)
class Template:
    """An event of one type, decoded once: others of it differ only in digits."""

    encoded: bytes
    raw: bytes

    @classmethod
    def of(cls, kind: int) -> "Template":
        """Return the one of events whose numbers leave the remainder `kind` by two."""
        raw = _body(_MARK + kind, _CONFERENCE_MARK)
        new = WebhookDecoder().decode(raw, round(time.time() * 1e6))
        return cls(new.body, raw)

    def with_number(self, number: int, conferences: int) -> tuple[bytes, bytes]:
        """Return the encoded event and the signed bytes of the event with a number."""
        encoded, raw = self.encoded, self.raw
        for mark, value in (
            (_MARK + number % 2, number),
            (_CONFERENCE_MARK, number % conferences),
        ):
            old, new = (_DIGITS % mark).encode(), (_DIGITS % value).encode()
            encoded, raw = encoded.replace(old, new), raw.replace(old, new)
        return encoded, raw


class NewEvents:
    """Events as the log takes them, for who stores some without posting them."""

    def __init__(self) -> None:
        self._templates = [Template.of(0), Template.of(1)]

    def event(self, number: int) -> NewEvent:
        """Return the event with a number, received now."""
        body, raw = self._templates[number % 2].with_number(number, CONFERENCES)
        keys = keys_of(number, CONFERENCES)
        return NewEvent(id_of(number), type_of(number), keys, round(time.time() * 1e6), body, raw)


class Postings:
    """Tells events that are exactly as they were posted from any others."""

    def __init__(self, conferences: int) -> None:
        self._conferences = conferences
        self._templates = [Template.of(0), Template.of(1)]

    def number_of(self, event: Event) -> int | None:
        """Return the number that an event was posted with, None if it was not posted so."""
        digits = event.id[-12:]
        number = int(digits) if digits.isdecimal() else -1
        named = (
            event.id == id_of(number)
            and event.type == _TYPES[number % 2]
            and event.conference_id == conference_id(number % self._conferences)
            and event.WhichOneof("payload") == event.type.replace(".", "_")
            and event.HasField("received_at")
        )
        if not named:
            return None
        encoded, _ = self._templates[number % 2].with_number(number, self._conferences)
        expected = Event.FromString(encoded)
        # What the gateway adds, and the log; whoever reads it checks that by itself.
        expected.received_at.CopyFrom(event.received_at)
        expected.sequence = event.sequence
        expected.cursor = event.cursor
        return number if event == expected else None
