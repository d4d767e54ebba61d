"""WatchConference: the whole state first, then each change, whatever the order of the webhooks."""

import http.client
import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.common_pb2 import AUDIO_FORMAT_WAV, SUPERVISOR_ROLE_MONITOR
from conferencing.v1.conference_pb2 import (
    CONFERENCE_END_REASON_ALL_LEFT,
    CONFERENCE_STATUS_COMPLETED,
    CONFERENCE_STATUS_IN_PROGRESS,
    PARTICIPANT_STATUS_JOINED,
    PARTICIPANT_STATUS_LEFT,
)
from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_SHUTDOWN,
    RECORDING_STATE_ACTIVE,
    RECORDING_STATE_PAUSED,
    WatchConferenceRequest,
    WatchConferenceResponse,
)
from gateway.sandbox import RequestFault, SandboxServer
from gateway.server.statuses import WATCH_RETRY_S
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.loop import LoopThread
from tests.harness.provider import Answer, RecordingProvider, SentRequest
from tests.harness.refusals import listen, refusals_of
from tests.harness.webhooks import Signer, webhook

ALICE, BOB = "v3:sandbox-alice", "v3:sandbox-bob"


class Stage:
    def __init__(self, gateway: RunningGateway, simulated: SandboxServer) -> None:
        self.gateway, self.simulated = gateway, simulated
        simulated.control.set_webhook_url(gateway.webhook_url)
        created = gateway.conferences.CreateConference(
            c.CreateConferenceRequest(call_control_id=ALICE, name="Business")
        )
        simulated.control.wait_until_idle()
        self.id = created.conference.id

    def watch(self, **fields: Any) -> Any:
        return self.gateway.events.WatchConference(
            WatchConferenceRequest(conference_id=self.id, **fields), timeout=20
        )

    def join(self, call: str) -> None:
        self.gateway.conferences.JoinConference(
            c.JoinConferenceRequest(conference_id=self.id, call_control_id=call)
        )

    def leave(self, call: str) -> None:
        self.gateway.conferences.LeaveConference(
            c.LeaveConferenceRequest(conference_id=self.id, call_control_id=call)
        )


@pytest.fixture
def stage(start_gateway: StartGateway, simulated: SandboxServer) -> Stage:
    keys = f"{simulated.public_key},{Signer().public_key}"
    gateway = start_gateway(simulated.base_url, public_key=keys)
    return Stage(gateway, simulated)


def told(response: WatchConferenceResponse) -> Any:
    match response.WhichOneof("update"):
        case "participant":
            participant = response.participant.participant
            return participant.call_control_id, participant.status
        case "conference":
            return response.conference.conference.status
        case other:
            return other


def test_the_state_comes_first_then_each_change_to_the_end(stage: Stage) -> None:
    stream = stage.watch()
    first = next(stream)
    assert first.snapshot.conference.name == "Business"
    assert first.snapshot.conference.status == CONFERENCE_STATUS_IN_PROGRESS
    (alice,) = first.snapshot.participants
    assert (alice.participant.call_control_id, alice.participant.status) == (
        ALICE,
        PARTICIPANT_STATUS_JOINED,
    )

    def expect(change: Any) -> WatchConferenceResponse:
        # What the provider says right after a command comes in between.
        found: WatchConferenceResponse = next(it for it in stream if told(it) == change)
        return found

    stage.join(BOB)
    expect((BOB, PARTICIPANT_STATUS_JOINED))
    stage.leave(BOB)
    expect((BOB, PARTICIPANT_STATUS_LEFT))
    stage.leave(ALICE)
    expect((ALICE, PARTICIPANT_STATUS_LEFT))
    last = expect(CONFERENCE_STATUS_COMPLETED)
    assert last.conference.conference.end_reason == CONFERENCE_END_REASON_ALL_LEFT
    assert list(stream) == []
    assert stream.code() is grpc.StatusCode.OK


def test_what_no_webhook_tells_is_told_after_a_command(stage: Stage) -> None:
    stage.join(BOB)
    stage.simulated.control.wait_until_idle()
    stream = stage.watch()
    next(stream)
    conferences = stage.gateway.conferences

    conferences.MuteParticipants(
        c.MuteParticipantsRequest(conference_id=stage.id, call_control_ids=[BOB])
    )
    muted = next(stream).participant.participant
    assert (muted.call_control_id, muted.muted, muted.on_hold) == (BOB, True, False)

    conferences.HoldParticipants(
        c.HoldParticipantsRequest(conference_id=stage.id, call_control_ids=[BOB])
    )
    assert next(stream).participant.participant.on_hold

    conferences.UpdateSupervisorRole(
        c.UpdateSupervisorRoleRequest(
            conference_id=stage.id, call_control_id=BOB, supervisor_role=SUPERVISOR_ROLE_MONITOR
        )
    )
    assert next(stream).participant.supervisor_role == SUPERVISOR_ROLE_MONITOR

    conferences.StartRecording(
        c.StartRecordingRequest(conference_id=stage.id, format=AUDIO_FORMAT_WAV)
    )
    assert _until(stream, lambda it: it.conference.recording == RECORDING_STATE_ACTIVE)
    conferences.PauseRecording(c.PauseRecordingRequest(conference_id=stage.id))
    assert _until(stream, lambda it: it.conference.recording == RECORDING_STATE_PAUSED)
    stream.cancel()


def _until(stream: Any, wanted: Callable[[WatchConferenceResponse], bool]) -> bool:
    """Read on to the response that is wanted; what the provider says may come in between."""
    return any(wanted(response) for response in stream)


@pytest.mark.slow
def test_a_provider_that_hangs_holds_up_no_event(stage: Stage) -> None:
    stream = stage.watch(heartbeat_interval={"seconds": 1})
    next(stream)
    # In the simulated time, which stands still.
    stage.simulated.control.add_fault(
        RequestFault(operation="conferences.retrieve", delay_seconds=1_000)
    )

    stage.join(BOB)

    assert told(next(it for it in stream if it.event_id)) == (BOB, PARTICIPANT_STATUS_JOINED)
    # And heartbeats go on.
    assert _until(stream, lambda it: it.WhichOneof("update") is None)
    stream.cancel()
    stage.simulated.control.advance(1_001)


def test_who_joins_as_a_supervisor_is_told_so(stage: Stage) -> None:
    stream = stage.watch()
    next(stream)

    stage.gateway.conferences.JoinConference(
        c.JoinConferenceRequest(
            conference_id=stage.id, call_control_id=BOB, supervisor_role=SUPERVISOR_ROLE_MONITOR
        )
    )

    monitor = SUPERVISOR_ROLE_MONITOR
    assert _until(stream, lambda it: it.participant.supervisor_role == monitor)
    stream.cancel()


def test_whoever_joins_muted_elsewhere_is_told_so(stage: Stage) -> None:
    """The command does not pass through this gateway, and its event does not tell of the mute."""
    stream = stage.watch()
    next(stream)
    request = {"call_control_id": BOB, "mute": True}
    connection = http.client.HTTPConnection(stage.simulated.base_url.split("/")[2], timeout=20)
    connection.request(
        "POST",
        f"/v2/conferences/{stage.id}/actions/join",
        json.dumps(request),
        {"authorization": "Bearer other", "content-type": "application/json"},
    )
    assert connection.getresponse().status == 200
    connection.close()

    assert _until(stream, lambda it: it.participant.participant.muted)
    stream.cancel()


@pytest.mark.slow
def test_what_is_heard_is_told(stage: Stage) -> None:
    stream = stage.watch()
    next(stream)
    stage.gateway.conferences.SpeakText(
        c.SpeakTextRequest(conference_id=stage.id, payload="Hello", voice="female")
    )
    assert next(stream).conference.speaking
    stage.simulated.control.advance(60)
    assert not next(stream).conference.speaking
    stream.cancel()


def test_a_conference_that_has_ended_is_told_and_the_stream_ends(stage: Stage) -> None:
    stage.gateway.conferences.EndConference(c.EndConferenceRequest(conference_id=stage.id))

    responses = list(stage.watch())

    assert [told(it) for it in responses] == ["snapshot"]
    assert responses[0].snapshot.conference.status == CONFERENCE_STATUS_COMPLETED


def test_an_unknown_conference_is_not_found(stage: Stage) -> None:
    failure = failure_of(
        stage.gateway.events.WatchConference, WatchConferenceRequest(conference_id="nobody")
    )

    assert failure.code is grpc.StatusCode.NOT_FOUND


def test_a_missing_id_is_named(stage: Stage) -> None:
    failure = failure_of(stage.gateway.events.WatchConference, WatchConferenceRequest())

    assert failure.violations == {"conference_id": "is required"}


@pytest.mark.slow
def test_silence_is_filled_with_heartbeats(stage: Stage) -> None:
    stream = stage.watch(heartbeat_interval={"seconds": 1})
    first = next(stream)

    heartbeat = next(stream)

    assert heartbeat.WhichOneof("update") is None
    assert heartbeat.cursor == first.cursor
    stream.cancel()


@pytest.mark.slow
def test_a_shutdown_ends_the_stream_in_order(stage: Stage) -> None:
    stream = stage.watch()
    next(stream)

    stage.gateway.stop()

    assert [it.drain.reason for it in stream] == [DRAIN_REASON_SHUTDOWN]


@pytest.mark.slow
def test_an_event_without_a_call_shows_nobody(stage: Stage) -> None:
    stream = stage.watch()
    next(stream)
    webhooks = stage.gateway.webhooks
    nameless = webhook("conference.participant.joined", {"conference_id": stage.id})
    named = webhook(
        "conference.participant.joined", {"conference_id": stage.id, "call_control_id": "v3:x"}
    )
    for body in (nameless, named):
        assert webhooks.post(body).status == 200

    first = next(it for it in stream if it.WhichOneof("update") == "participant")

    assert first.participant.participant.call_control_id == "v3:x"
    stream.cancel()


@pytest.mark.slow
def test_a_hundred_watchers_cost_the_provider_as_much_as_one(stage: Stage) -> None:
    streams = [stage.watch() for _ in range(100)]
    for stream in streams:
        next(stream)
    control = stage.simulated.control
    # They came within moments of each other: one question at a time, for all who wait.
    assert len(control.requests("conferences.retrieve")) <= 50
    control.clear_requests()

    stage.join(BOB)

    for stream in streams:
        assert _until(stream, lambda it: bool(it.participant.participant.id))
        stream.cancel()
    # Once after the command, and once more if the event came while that was under way.
    assert 1 <= len(control.requests("conferences.retrieve")) <= 3


@pytest.mark.slow
def test_a_refusal_says_when_to_come_back_and_is_counted(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
) -> None:
    listen(caplog)

    def answer(request: SentRequest) -> Answer:
        listed = request.path.endswith("/participants")
        return Answer(200, {"data": [] if listed else {"id": "c"}})

    provider.answer = answer
    gateway = start_gateway(provider.base_url, GATEWAY_WATCH_REQUESTS="1")
    streams = [
        gateway.events.WatchConference(WatchConferenceRequest(conference_id=str(number)))
        for number in range(5)
    ]
    assert all(next(it).HasField("snapshot") for it in streams)

    failure = failure_of(
        gateway.events.WatchConference, WatchConferenceRequest(conference_id="6"), timeout=1
    )

    assert failure.code.name == "RESOURCE_EXHAUSTED"
    assert failure.info.reason == "GATEWAY_OVERLOADED"
    assert "GATEWAY_WATCH_REQUESTS" in failure.message
    assert failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds == WATCH_RETRY_S
    assert gateway.gauge("gateway_watch_refused_total") == 1
    assert gateway.gauge(r'gateway_watch_waiting\{kind="prompt"\}') == 0
    assert gateway.gauge(r'gateway_watch_waiting\{kind="periodic"\}') == 0
    assert len(provider.requests) == 10
    for it in streams:
        it.cancel()
    (told,) = refusals_of(gateway, loop, caplog)
    text = "refused a call: TOO_MANY_WATCHES: conferencing.v1.EventService/WatchConference: so many"
    assert told.text.startswith(text)
