"""All 34 operations, through gRPC, against the simulated Telnyx: what went out, what came back.

The expected requests are written out by hand: they are what the provider's reference documents.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from conferencing.v1.common_pb2 import (
    AUDIO_FORMAT_MP3,
    BEEP_ENABLED_ALWAYS,
    BEEP_ENABLED_ON_EXIT,
    RECORDING_CHANNELS_DUAL,
    REGION_US,
    SUPERVISOR_ROLE_BARGE,
    SUPERVISOR_ROLE_MONITOR,
    CommandReceipt,
)
from conferencing.v1.conference_pb2 import (
    CONFERENCE_STATUS_IN_PROGRESS,
    PARTICIPANT_STATUS_JOINED,
    Conference,
)
from conferencing.v1.event_service_pb2 import SubscribeRequest
from gateway.app import COMMAND_SERVICES
from gateway.sandbox import RecordedRequest, SandboxServer
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway

ALICE, BOB, CAROL = "v3:sandbox-alice", "v3:sandbox-bob", "v3:sandbox-carol"


@dataclass
class Stage:
    gateway: RunningGateway
    simulated: SandboxServer

    def received(self) -> RecordedRequest:
        return self.simulated.control.requests()[-1]

    def conference(self, *others: str) -> Conference:
        created = self.gateway.conferences.CreateConference(
            c.CreateConferenceRequest(call_control_id=ALICE, name="Business")
        )
        for call in others:
            self.gateway.conferences.JoinConference(
                c.JoinConferenceRequest(conference_id=created.conference.id, call_control_id=call)
            )
        return created.conference


@pytest.fixture
def stage(start_gateway: StartGateway, simulated: SandboxServer) -> Stage:
    gateway = start_gateway(simulated.base_url, public_key=simulated.public_key)
    simulated.control.set_webhook_url(gateway.webhook_url)
    return Stage(gateway, simulated)


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


def assert_ran(receipt: CommandReceipt, command_id: str) -> None:
    assert receipt.command_id == command_id
    assert receipt.result == "ok"
    assert receipt.cursor


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


def test_queues_are_created_listed_found_updated_and_deleted(stage: Stage) -> None:
    rpc = stage.gateway.queues

    created = rpc.CreateQueue(q.CreateQueueRequest(queue_name="VIP line", max_size=5))
    assert stage.received().path == "/v2/queues"
    assert stage.received().body == {"queue_name": "VIP line", "max_size": 5}
    assert (created.queue.name, created.queue.max_size) == ("VIP line", 5)

    listed = rpc.ListQueues(q.ListQueuesRequest(page_size=5))
    assert [queue.name for queue in listed.queues] == ["VIP line"]

    found = rpc.GetQueue(q.GetQueueRequest(queue_name="VIP line")).queue
    assert stage.received().path == "/v2/queues/VIP%20line"
    assert found.id == created.queue.id

    updated = rpc.UpdateQueue(q.UpdateQueueRequest(queue_name="VIP line", max_size=9))
    assert (stage.received().method, stage.received().body) == ("POST", {"max_size": 9})
    assert updated.queue.max_size == 9

    deleted = rpc.DeleteQueue(q.DeleteQueueRequest(queue_name="VIP line"))
    assert (stage.received().method, stage.received().status) == ("DELETE", 204)
    assert deleted.receipt.cursor


def test_calls_are_queued_listed_found_updated_and_taken_out(stage: Stage) -> None:
    rpc = stage.gateway.queues
    response = rpc.EnqueueCall(
        q.EnqueueCallRequest(
            call_control_id=ALICE,
            queue_name="support",
            client_state="c3RhdGU=",
            command_id="x",
            keep_after_hangup=True,
            max_size=20,
            max_wait_time_secs=300,
        )
    )
    assert stage.received().path == f"/v2/calls/{ALICE}/actions/enqueue"
    assert stage.received().body == {
        "queue_name": "support",
        "client_state": "c3RhdGU=",
        "command_id": "x",
        "keep_after_hangup": True,
        "max_size": 20,
        "max_wait_time_secs": 300,
    }
    assert_ran(response.receipt, "x")
    rpc.EnqueueCall(q.EnqueueCallRequest(call_control_id=BOB, queue_name="support"))

    listed = rpc.ListQueuedCalls(q.ListQueuedCallsRequest(queue_name="support"))
    assert stage.received().path == "/v2/queues/support/calls"
    assert [(it.call_control_id, it.queue_position) for it in listed.calls] == [
        (ALICE, 1),
        (BOB, 2),
    ]
    found = rpc.GetQueuedCall(
        q.GetQueuedCallRequest(queue_name="support", call_control_id=ALICE)
    ).call
    path = f"/v2/queues/support/calls/{ALICE}"
    assert stage.received().path == path
    assert found.caller.startswith("+")
    assert found.to.startswith("+")

    rpc.UpdateQueuedCall(
        q.UpdateQueuedCallRequest(
            queue_name="support", call_control_id=ALICE, keep_after_hangup=False
        )
    )
    received = stage.received()
    assert (received.method, received.path, received.body, received.status) == (
        "PATCH",
        path,
        {"keep_after_hangup": False},
        204,
    )
    removed = rpc.RemoveQueuedCall(
        q.RemoveQueuedCallRequest(queue_name="support", call_control_id=ALICE)
    )
    assert (stage.received().method, stage.received().path) == ("DELETE", path)
    assert removed.receipt.cursor

    left = rpc.LeaveQueue(q.LeaveQueueRequest(call_control_id=BOB, command_id="y"))
    assert stage.received().path == f"/v2/calls/{BOB}/actions/leave_queue"
    assert_ran(left.receipt, "y")


@pytest.mark.parametrize(
    "name", ["Süd", "客服", "a/b", "../a", "a\\b", "%2F", "..;", "a?b#c", "a b", "é" * 255, "\n"]
)
def test_a_queue_is_found_by_whatever_name_it_was_created_under(stage: Stage, name: str) -> None:
    rpc = stage.gateway.queues
    made = rpc.CreateQueue(q.CreateQueueRequest(queue_name=name)).queue
    rpc.EnqueueCall(q.EnqueueCallRequest(call_control_id=ALICE, queue_name=name))

    assert rpc.GetQueue(q.GetQueueRequest(queue_name=name)).queue.id == made.id
    updated = rpc.UpdateQueue(q.UpdateQueueRequest(queue_name=name, max_size=7)).queue
    assert (updated.name, updated.max_size) == (name, 7)
    (call,) = rpc.ListQueuedCalls(q.ListQueuedCallsRequest(queue_name=name)).calls
    assert call.call_control_id == ALICE
    key = {"queue_name": name, "call_control_id": ALICE}
    assert rpc.GetQueuedCall(q.GetQueuedCallRequest(**key)).call.queue_position == 1
    rpc.UpdateQueuedCall(q.UpdateQueuedCallRequest(**key, keep_after_hangup=True))
    rpc.RemoveQueuedCall(q.RemoveQueuedCallRequest(**key))
    assert rpc.DeleteQueue(q.DeleteQueueRequest(queue_name=name)).HasField("receipt")
    assert stage.received().status == 204


def test_this_file_calls_every_operation() -> None:
    text = Path(__file__).read_text()
    names = [method.name for service in COMMAND_SERVICES for method in service.methods]

    assert len(names) == 34
    assert [name for name in names if not re.search(rf'\b{name}\(|"{name}"', text)] == []


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
