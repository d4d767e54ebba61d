"""The two calls that every contestant makes, and the provider's answers to them.

One command (a path, a JSON body and a command id; the answer becomes a receipt) and one query (a
path only; the answer is a resource), with values as long as the provider's own.
"""

import json
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from conferencing.v1.common_pb2 import BEEP_ENABLED_ON_ENTER
from conferencing.v1.conference_service_pb2 import (
    GetConferenceRequest,
    GetConferenceResponse,
    JoinConferenceRequest,
    JoinConferenceResponse,
)

API_KEY = "KEY0123456789ABCDEF0123456789ABCDEF_0123456789abcdefghijkl"

CONFERENCE_ID = "d9c2b0ab-5f3f-4c2e-8f0e-6a3f1f0b7c11"
CALL_CONTROL_ID = "v3:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ"
COMMAND_ID = "891510ac-f3e4-11e8-af5b-de00688a4901"
CLIENT_STATE = "aGF2ZSBhIG5pY2UgZGF5ID1d"


@dataclass(frozen=True, slots=True)
class UnaryCall:
    """An RPC with its request, and the REST operation that it comes to."""

    name: str
    request: Message
    response_class: type[Message]
    http_method: str
    http_path: str
    # The JSON body of the request, None if it has none.
    http_body: bytes | None
    # The provider's answer.
    answer: bytes

    @property
    def rpc_path(self) -> str:
        """The path under which gRPC clients call it."""
        return f"/conferencing.v1.ConferenceService/{self.name}"

    @property
    def request_line(self) -> str:
        """How the REST request begins: method and path."""
        return f"{self.http_method} {self.http_path}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


JOIN = UnaryCall(
    name="JoinConference",
    request=JoinConferenceRequest(
        conference_id=CONFERENCE_ID,
        call_control_id=CALL_CONTROL_ID,
        command_id=COMMAND_ID,
        client_state=CLIENT_STATE,
        beep_enabled=BEEP_ENABLED_ON_ENTER,
        mute=True,
    ),
    response_class=JoinConferenceResponse,
    http_method="POST",
    http_path=f"/conferences/{CONFERENCE_ID}/actions/join",
    http_body=_json(
        {
            "call_control_id": CALL_CONTROL_ID,
            "command_id": COMMAND_ID,
            "client_state": CLIENT_STATE,
            "beep_enabled": "on_enter",
            "mute": True,
        }
    ),
    answer=_json({"data": {"result": "ok"}}),
)

GET = UnaryCall(
    name="GetConference",
    request=GetConferenceRequest(conference_id=CONFERENCE_ID),
    response_class=GetConferenceResponse,
    http_method="GET",
    http_path=f"/conferences/{CONFERENCE_ID}",
    http_body=None,
    answer=_json(
        {
            "data": {
                "id": CONFERENCE_ID,
                "created_at": "2026-01-31T12:00:00.123456Z",
                "expires_at": "2026-01-31T16:00:00.123456Z",
                "name": "all-hands",
                "record_type": "conference",
                "connection_id": "1684641123236054244",
                "end_reason": "all_left",
                "ended_by": {
                    "call_control_id": CALL_CONTROL_ID,
                    "call_session_id": "428c31b6-abf3-3bc1-b7f4-5013ef9657c1",
                },
                "region": "US",
                "status": "completed",
                "updated_at": "2026-01-31T12:30:00.654321Z",
            }
        }
    ),
)

CALLS = {call.name: call for call in (JOIN, GET)}
