"""The same binary against any provider: credentials and an address are all that changes.

The provider here is an independent HTTP server, not the sandbox.
"""

from pathlib import Path

from conferencing.v1.common_pb2 import REGION_MIDDLE_EAST
from conferencing.v1.conference_service_pb2 import (
    CreateConferenceRequest,
    ListConferencesRequest,
)
from conferencing.v1.event_service_pb2 import GetEventRequest
from gateway.config import load_settings
from tests.harness.process import GatewayProcess
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.webhooks import Signer, webhook

CONFERENCE = {
    "id": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "name": "Business",
    "record_type": "conference",
    "created_at": "2026-01-31T12:00:00.000Z",
    "expires_at": "2026-01-31T16:00:00.000Z",
    "status": "in_progress",
    "region": "Middle East",
}


def test_with_credentials_it_talks_to_the_provider_it_is_given(tmp_path: Path) -> None:
    with (
        RecordingProvider() as provider,
        GatewayProcess(
            tmp_path, TELNYX_API_KEY="KEY_REAL", TELNYX_BASE_URL=provider.base_url
        ) as gateway,
    ):
        provider.answer = Answer(200, {"data": CONFERENCE})
        created = gateway.conferences.CreateConference(
            CreateConferenceRequest(
                call_control_id="v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg",
                name="Business",
                region=REGION_MIDDLE_EAST,
            ),
            timeout=20,
        )
        meta = {"page_number": 1, "page_size": 20, "total_pages": 3, "total_results": 55}
        provider.answer = Answer(200, {"data": [CONFERENCE], "meta": meta})
        listed = gateway.conferences.ListConferences(ListConferencesRequest(), timeout=20)
        assert gateway.webhooks.post(webhook(id_="real")).status == 200
        stored = gateway.events.GetEvent(GetEventRequest(event_id="real")).event

    create, list_ = provider.requests
    assert (create.method, create.path) == ("POST", "/v2/conferences")
    assert create.headers["authorization"] == "Bearer KEY_REAL"
    assert create.headers["content-type"] == "application/json"
    assert create.headers["user-agent"].startswith("telnyx-grpc-gateway/")
    assert create.body == {
        "call_control_id": "v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg",
        "name": "Business",
        "region": "Middle East",
        "command_id": created.receipt.command_id,
    }
    assert created.conference.id == CONFERENCE["id"]
    assert (list_.method, list_.path, list_.query) == ("GET", "/v2/conferences", {})
    assert (listed.total_size, bool(listed.next_page_token)) == (55, True)
    assert stored.id == "real"


def test_the_provider_is_the_real_one_unless_told_otherwise() -> None:
    settings = load_settings({"TELNYX_API_KEY": "K", "TELNYX_PUBLIC_KEY": Signer().public_key})

    assert settings.base_url == "https://api.telnyx.com/v2"
    assert str(settings.grpc_address) == "127.0.0.1:50051"
    assert str(settings.http_address) == "127.0.0.1:8080"
    assert str(settings.admin_address) == "127.0.0.1:9080"


def test_a_key_is_not_shown_by_the_settings_that_hold_it() -> None:
    settings = load_settings(
        {"TELNYX_API_KEY": "KEY_REAL", "TELNYX_PUBLIC_KEY": Signer().public_key}
    )

    assert "KEY_REAL" not in repr(settings) + str(settings) + settings.model_dump_json()
