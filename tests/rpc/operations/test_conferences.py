"""Operations on conferences against the simulated Telnyx: what went out, what came back.

The expected requests are written out by hand: they are what the provider's reference documents.
"""

from typing import Any

import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.common_pb2 import (
    AUDIO_FORMAT_MP3,
    BEEP_ENABLED_ALWAYS,
    BEEP_ENABLED_ON_EXIT,
    RECORDING_CHANNELS_DUAL,
    REGION_US,
    SUPERVISOR_ROLE_BARGE,
    SUPERVISOR_ROLE_MONITOR,
)
from conferencing.v1.conference_pb2 import CONFERENCE_STATUS_IN_PROGRESS, PARTICIPANT_STATUS_JOINED
from conferencing.v1.event_service_pb2 import SubscribeRequest
from tests.rpc.operations.stage import ALICE, BOB, CAROL, Stage, assert_ran

# Commands on a conference that has Alice and Bob in it: RPC, request, path below the conference,
# body. `command_id` is given so that the whole body is known.
COMMANDS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("EndConference", {"command_id": "x"}, "end", {"command_id": "x"}),
    (
        "JoinConference",
        {
            "call_control_id": CAROL,
            "beep_enabled": BEEP_ENABLED_ON_EXIT,
            "client_state": "c3RhdGU=",
            "command_id": "x",
            "end_conference_on_exit": False,
            "hold": True,
            "hold_audio_url": "https://example.com/hold.wav",
            "mute": True,
            "region": REGION_US,
            "soft_end_conference_on_exit": False,
            "start_conference_on_enter": True,
            "supervisor_role": SUPERVISOR_ROLE_MONITOR,
            "whisper_call_control_ids": [BOB],
        },
        "join",
        {
            "call_control_id": CAROL,
            "beep_enabled": "on_exit",
            "client_state": "c3RhdGU=",
            "command_id": "x",
            "end_conference_on_exit": False,
            "hold": True,
            "hold_audio_url": "https://example.com/hold.wav",
            "mute": True,
            "region": "US",
            "soft_end_conference_on_exit": False,
            "start_conference_on_enter": True,
            "supervisor_role": "monitor",
            "whisper_call_control_ids": [BOB],
        },
    ),
    (
        "LeaveConference",
        {"call_control_id": BOB, "beep_enabled": BEEP_ENABLED_ALWAYS, "command_id": "x"},
        "leave",
        {"call_control_id": BOB, "beep_enabled": "always", "command_id": "x"},
    ),
    (
        "HoldParticipants",
        {"call_control_ids": [BOB], "media_name": "hold"},
        "hold",
        {"call_control_ids": [BOB], "media_name": "hold"},
    ),
    ("UnholdParticipants", {"call_control_ids": [BOB]}, "unhold", {"call_control_ids": [BOB]}),
    ("MuteParticipants", {"region": REGION_US}, "mute", {"region": "US"}),
    ("UnmuteParticipants", {}, "unmute", {}),
    (
        "PlayAudio",
        {"audio_url": "https://example.com/a.wav", "loop": "infinity", "call_control_ids": [BOB]},
        "play",
        {"audio_url": "https://example.com/a.wav", "loop": "infinity", "call_control_ids": [BOB]},
    ),
    ("StopAudio", {"call_control_ids": [BOB]}, "stop", {"call_control_ids": [BOB]}),
    (
        "SpeakText",
        {
            "payload": "Say this",
            "voice": "AWS.Polly.Joanna",
            "command_id": "x",
            "language": "en-US",
            "payload_type": 1,
            "voice_settings": {"aws": {}},
        },
        "speak",
        {
            "payload": "Say this",
            "voice": "AWS.Polly.Joanna",
            "command_id": "x",
            "language": "en-US",
            "payload_type": "text",
            "voice_settings": {"type": "aws"},
        },
    ),
    (
        "GatherDtmf",
        {
            "call_control_id": BOB,
            "audio_url": "https://example.com/menu.wav",
            "maximum_digits": 4,
            "stop_playback_on_dtmf": True,
            "terminating_digit": "",
            "valid_digits": "123#",
        },
        "gather_using_audio",
        {
            "call_control_id": BOB,
            "audio_url": "https://example.com/menu.wav",
            "maximum_digits": 4,
            "stop_playback_on_dtmf": True,
            "terminating_digit": "",
            "valid_digits": "123#",
        },
    ),
    (
        "SendDtmf",
        {"digits": "1w2", "duration_millis": 250},
        "send_dtmf",
        {"digits": "1w2", "duration_millis": 250},
    ),
    (
        "StartRecording",
        {
            "format": AUDIO_FORMAT_MP3,
            "channels": RECORDING_CHANNELS_DUAL,
            "command_id": "x",
            "play_beep": True,
            "trim": c.RECORDING_TRIM_TRIM_SILENCE,
        },
        "record_start",
        {
            "format": "mp3",
            "channels": "dual",
            "command_id": "x",
            "play_beep": True,
            "trim": "trim-silence",
        },
    ),
    (
        "UpdateSupervisorRole",
        {"call_control_id": BOB, "supervisor_role": SUPERVISOR_ROLE_BARGE, "command_id": "x"},
        "update",
        {"call_control_id": BOB, "supervisor_role": "barge", "command_id": "x"},
    ),
]


# These need a recording that runs, or one that is paused.
RECORDING_COMMANDS = [
    ("PauseRecording", "record_pause"),
    ("ResumeRecording", "record_resume"),
    ("StopRecording", "record_stop"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rpc", "fields", "action", "body"), COMMANDS, ids=[it[0] for it in COMMANDS]
)
def test_a_command_is_received_as_the_provider_documents_it(
    stage: Stage, rpc: str, fields: dict[str, Any], action: str, body: dict[str, Any]
) -> None:
    conference = stage.conference(BOB)
    request = getattr(c, f"{rpc}Request")(conference_id=conference.id, **fields)

    response = getattr(stage.gateway.conferences, rpc)(request)

    received = stage.received()
    assert (received.method, received.path) == (
        "POST",
        f"/v2/conferences/{conference.id}/actions/{action}",
    )
    assert received.body == body
    assert received.status == 200
    assert_ran(response.receipt, body.get("command_id", ""))


@pytest.mark.slow
def test_a_recording_is_paused_resumed_and_stopped(stage: Stage) -> None:
    conference = stage.conference()
    stage.gateway.conferences.StartRecording(
        c.StartRecordingRequest(conference_id=conference.id, format=AUDIO_FORMAT_MP3)
    )
    for rpc, action in RECORDING_COMMANDS:
        request = getattr(c, f"{rpc}Request")(conference_id=conference.id, command_id=rpc)

        response = getattr(stage.gateway.conferences, rpc)(request)

        received = stage.received()
        assert received.path == f"/v2/conferences/{conference.id}/actions/{action}"
        assert received.body == {"command_id": rpc}
        assert_ran(response.receipt, rpc)


def test_a_conference_is_created_and_found(stage: Stage) -> None:
    response = stage.gateway.conferences.CreateConference(
        c.CreateConferenceRequest(
            call_control_id=ALICE,
            name="Business",
            beep_enabled=BEEP_ENABLED_ALWAYS,
            client_state="c3RhdGU=",
            comfort_noise=False,
            command_id="x",
            duration_minutes=60,
            hold_media_name="hold",
            max_participants=12,
            region=REGION_US,
            start_conference_on_create=True,
        )
    )

    received = stage.received()
    assert (received.method, received.path) == ("POST", "/v2/conferences")
    assert received.body == {
        "call_control_id": ALICE,
        "name": "Business",
        "beep_enabled": "always",
        "client_state": "c3RhdGU=",
        "comfort_noise": False,
        "command_id": "x",
        "duration_minutes": 60,
        "hold_media_name": "hold",
        "max_participants": 12,
        "region": "US",
        "start_conference_on_create": True,
    }
    conference = response.conference
    assert (conference.name, conference.status) == ("Business", CONFERENCE_STATUS_IN_PROGRESS)
    assert conference.created_at.seconds < conference.expires_at.seconds
    assert response.receipt.command_id == "x"
    found = stage.gateway.conferences.GetConference(
        c.GetConferenceRequest(conference_id=conference.id, region=REGION_US)
    ).conference
    assert stage.received().query == "region=US"
    assert found.id == conference.id


def test_conferences_are_listed_in_pages_and_by_filter(stage: Stage) -> None:
    stage.conference()
    stage.gateway.conferences.CreateConference(
        c.CreateConferenceRequest(call_control_id=BOB, name="Other")
    )
    request = c.ListConferencesRequest(page_size=1)

    first = stage.gateway.conferences.ListConferences(request)
    request.page_token = first.next_page_token
    second = stage.gateway.conferences.ListConferences(request)

    assert stage.received().query == "page%5Bnumber%5D=2&page%5Bsize%5D=1"
    assert (first.total_size, second.next_page_token) == (2, "")
    assert {it.conferences[0].name for it in (first, second)} == {"Business", "Other"}

    by_name = stage.gateway.conferences.ListConferences(
        c.ListConferencesRequest(filter=c.ConferenceFilter(name="Other"))
    )
    assert [it.name for it in by_name.conferences] == ["Other"]


def test_participants_are_listed_found_and_updated(stage: Stage) -> None:
    conference = stage.conference(BOB)
    rpc = stage.gateway.conferences
    rpc.MuteParticipants(
        c.MuteParticipantsRequest(conference_id=conference.id, call_control_ids=[BOB])
    )

    muted = rpc.ListParticipants(
        c.ListParticipantsRequest(
            conference_id=conference.id, filter=c.ParticipantFilter(muted=True)
        )
    )

    assert stage.received().query == "filter%5Bmuted%5D=true"
    (bob,) = muted.participants
    assert (bob.call_control_id, bob.muted, bob.on_hold) == (BOB, True, False)
    assert (bob.status, bob.conference.name) == (PARTICIPANT_STATUS_JOINED, "Business")

    updated = rpc.UpdateParticipant(
        c.UpdateParticipantRequest(
            conference_id=conference.id,
            participant_id=bob.id,
            beep_enabled=BEEP_ENABLED_ON_EXIT,
            end_conference_on_exit=True,
            soft_end_conference_on_exit=False,
        )
    )

    received = stage.received()
    path = f"/v2/conferences/{conference.id}/participants/{bob.id}"
    assert (received.method, received.path) == ("PATCH", path)
    assert received.body == {
        "beep_enabled": "on_exit",
        "end_conference_on_exit": True,
        "soft_end_conference_on_exit": False,
    }
    assert updated.participant.end_conference_on_exit
    assert updated.receipt.cursor
    found = rpc.GetParticipant(
        c.GetParticipantRequest(conference_id=conference.id, participant_id=bob.id)
    ).participant
    assert stage.received().path == path
    assert (found.id, found.conference_id) == (bob.id, conference.id)


def test_every_effect_of_a_command_comes_after_its_cursor(stage: Stage) -> None:
    conference = stage.conference()
    response = stage.gateway.conferences.JoinConference(
        c.JoinConferenceRequest(conference_id=conference.id, call_control_id=BOB)
    )
    stage.simulated.control.wait_until_delivered()

    stream = stage.gateway.events.Subscribe(
        SubscribeRequest(after_cursor=response.receipt.cursor, stop_when_caught_up=True)
    )
    seen = [event.call_control_id for response in stream for event in response.events]
    assert BOB in seen
