"""Signed webhooks, made from scratch: the signing here shares no code with gateway or sandbox."""

import base64
import http.client
import itertools
import json
import time
from dataclasses import dataclass
from typing import Any

from nacl.signing import SigningKey

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def reason(self) -> str:
        return str(self.body["error"]["reason"])


class Signer:
    def __init__(self, seed: int = 1) -> None:
        self._key = SigningKey(bytes([seed]) * 32)

    @property
    def raw_public_key(self) -> bytes:
        return bytes(self._key.verify_key)

    @property
    def public_key(self) -> str:
        return base64.b64encode(self.raw_public_key).decode()

    def signature(self, message: bytes) -> str:
        return base64.b64encode(self._key.sign(message).signature).decode()

    def telnyx(self, body: bytes, at: float | None = None) -> dict[str, str]:
        timestamp = str(int(time.time() if at is None else at))
        return {
            "telnyx-timestamp": timestamp,
            "telnyx-signature-ed25519": self.signature(f"{timestamp}|".encode() + body),
        }

    def standard(self, body: bytes, at: float | None = None, id_: str = "msg_1") -> dict[str, str]:
        timestamp = str(int(time.time() if at is None else at))
        signature = self.signature(f"{id_}.{timestamp}.".encode() + body)
        return {
            "webhook-id": id_,
            "webhook-timestamp": timestamp,
            # An HMAC signature beside it, as a sender in transition would have.
            "webhook-signature": f"v1,Zm9v v1a,{signature}",
        }


def event_id() -> str:
    return f"event-{next(_numbers)}"


def webhook(
    event_type: str = "conference.participant.joined",
    payload: dict[str, Any] | None = None,
    id_: str | None = None,
    **data: Any,
) -> bytes:
    """Return the body of a webhook."""
    return json.dumps(
        {
            "data": {
                "id": id_ or event_id(),
                "event_type": event_type,
                "record_type": "event",
                "payload": {"conference_id": "conf-1"} if payload is None else payload,
                **data,
            },
            "meta": {"attempt": 1, "delivered_to": "https://example.com/webhooks"},
        }
    ).encode()


class Poster:
    """Posts to a gateway's webhook address over a real connection; gives up after `patience_s`."""

    def __init__(self, address: str, signer: Signer, patience_s: float = 20.0) -> None:
        self._address = address
        self._patience_s = patience_s
        self.signer = signer

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> Reply:
        """Post a body, signed unless headers are given."""
        return self.send("POST", body, self.signer.telnyx(body) if headers is None else headers)

    def event(self, event_type: str = "conference.participant.joined", **payload: Any) -> str:
        """Post an event and return its id; it must be stored."""
        id_ = event_id()
        reply = self.post(webhook(event_type, payload or None, id_))
        assert reply.status == 200, reply
        return id_

    def send(self, method: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection(self._address, timeout=self._patience_s)
        try:
            connection.request(method, "/webhooks/telnyx", body, headers)
            response = connection.getresponse()
            raw = response.read()
            return Reply(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                json.loads(raw) if raw else None,
            )
        finally:
            connection.close()
