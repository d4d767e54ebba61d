"""WatchConference: the whole state first, then each change, whatever the order of the webhooks."""

import http.client
import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.common_pb2 import AUDIO_FORMAT_WAV, SUPERVISOR_ROLE_MONITOR
from conferencing.v1.conference_pb2 import (
    CONFERENCE_END_REASON_ALL_LEFT,
    CONFERENCE_STATUS_COMPLETED,
    CONFERENCE_STATUS_IN_PROGRESS,
    PARTICIPANT_STATUS_JOINED,
    PARTICIPANT_STATUS_LEFT,
    Conference,
    Participant,
)
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    DRAIN_REASON_SHUTDOWN,
    RECORDING_STATE_ACTIVE,
    RECORDING_STATE_PAUSED,
    RECORDING_STATE_SAVED,
    WatchConferenceRequest,
    WatchConferenceResponse,
)
from gateway.rpc.conference_state import ConferencePicture
from gateway.sandbox import RequestFault, SandboxServer
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
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


def test_a_command_on_another_conference_concerns_nobody(stage: Stage) -> None:
    commands = stage.gateway.app._passing
    told: list[str] = []
    with commands.listening("other", lambda command: told.append(command.name)):
        stage.join(BOB)
        stage.leave(BOB)
    assert told == []
    assert commands._listeners == {}


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


# The state does not depend on the order of the webhooks.


def event(type_: str, at: int, call: str = "", **fields: Any) -> Event:
    return Event(
        id=f"{type_}-{at}-{call}",
        type=f"conference.{type_}",
        conference_id="c1",
        call_control_id=call,
        occurred_at=Timestamp(seconds=at),
        **fields,
    )


HISTORY = [
    event("participant.joined", 10, "a"),
    event("participant.joined", 11, "b"),
    event("participant.left", 12, "b"),
    event("participant.joined", 13, "b"),
    event("playback.started", 14),
    event("playback.ended", 14),
    event("participant.speak.started", 15, "a"),
    event("speak.started", 16),
    event("floor.changed", 17, "a"),
    event("floor.changed", 18, "b"),
    event("recording.saved", 19, "a"),
    event("participant.left", 20, "a"),
]


def state_after(events: list[Event]) -> bytes:
    picture = ConferencePicture(
        Conference(id="c1", status=CONFERENCE_STATUS_IN_PROGRESS),
        [
            Participant(
                call_control_id="a",
                status=PARTICIPANT_STATUS_JOINED,
                updated_at=Timestamp(seconds=9),
            )
        ],
    )
    for it in events:
        picture.apply(it)
    return picture.snapshot().SerializeToString(deterministic=True)


def test_any_order_and_any_repetition_end_in_the_same_state() -> None:
    random_ = random.Random(1)
    expected = state_after(HISTORY)
    for _ in range(500):
        shuffled = HISTORY + random_.choices(HISTORY, k=5)
        random_.shuffle(shuffled)
        assert state_after(shuffled) == expected


def test_every_order_of_the_life_of_one_participant_ends_the_same() -> None:
    life = [*HISTORY[:4], HISTORY[-1]]

    assert len({state_after(list(order)) for order in itertools.permutations(life)}) == 1


def test_the_state_says_what_the_events_said() -> None:
    picture = ConferencePicture(Conference(id="c1"), [])
    for it in HISTORY:
        picture.apply(it)
    state = picture.snapshot()

    members = {it.participant.call_control_id: it for it in state.participants}
    assert members["a"].participant.status == PARTICIPANT_STATUS_LEFT
    assert members["b"].participant.status == PARTICIPANT_STATUS_JOINED
    assert members["a"].speaking
    assert (state.playing, state.speaking) == (False, True)
    assert state.floor_call_control_id == "b"
    assert state.recording == RECORDING_STATE_SAVED


def test_what_changes_nothing_is_not_told() -> None:
    picture = ConferencePicture(Conference(id="c1"), [])

    assert len(picture.apply(HISTORY[0])) == 1
    assert picture.apply(HISTORY[0]) == []
    assert picture.apply(event("mood.changed", 30)) == []


WORDS = (
    "participant playback speak floor recording joined left started ended changed saved paused call"
)
parts = st.lists(st.sampled_from([*WORDS.split(), ""]), max_size=4)


@given(parts.map(".".join), st.sampled_from(["", "a", "b"]), st.booleans())
def test_every_participant_is_a_call_whatever_events_say(
    rest: str, call: str, has_ended: bool
) -> None:
    status = CONFERENCE_STATUS_COMPLETED if has_ended else CONFERENCE_STATUS_IN_PROGRESS
    alice = Participant(call_control_id="a", status=PARTICIPANT_STATUS_JOINED)
    picture = ConferencePicture(Conference(id="c1", status=status), [alice, Participant(id="p9")])

    changes = picture.apply(event(rest, 50, call))

    known = {it.participant.call_control_id for it in picture.snapshot().participants}
    assert known <= {"a", call} - {""}
    for change in changes:
        assert (change.conference is None) != (change.participant is None)
        if change.participant is not None:
            assert change.participant.participant.call_control_id in known
    assert picture.refresh(Conference(id="c1", status=status), [Participant(id="p9")]) == []


@pytest.mark.parametrize(
    "type_",
    [
        "participant.joined",
        "participant.left",
        "participant.playback.started",
        "participant.playback.ended",
        "participant.speak.started",
        "floor.changed",
    ],
)
def test_what_names_no_call_tells_of_no_participant(type_: str) -> None:
    before = state_after(HISTORY)

    assert state_after([*HISTORY, event(type_, 99)]) == before


@pytest.mark.parametrize("type_", ["playback.paused", "participant.speak.failed", "speak.x.y"])
def test_a_stage_that_is_not_known_ends_nothing(type_: str) -> None:
    begun = [event("playback.started", 1), event("participant.speak.started", 1, "a")]

    assert state_after([*begun, event(type_, 2, "a")]) == state_after(begun)
    assert state_after([event(type_, 2, "stranger")]) == state_after([])


@pytest.mark.parametrize("type_", ["participant.joined", "call.playback.started"])
def test_what_is_no_event_of_a_conference_changes_nothing(type_: str) -> None:
    foreign = event("x", 50, "b")
    foreign.type = type_

    assert state_after([foreign]) == state_after([])


def test_a_joining_that_comes_after_the_end_brings_nobody_in() -> None:
    picture = ConferencePicture(Conference(id="c1"), [])
    picture.apply(event("ended", 40))

    (change,) = picture.apply(HISTORY[0])

    assert change.participant is not None
    assert change.participant.participant.status == PARTICIPANT_STATUS_LEFT


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


def test_nobody_is_in_a_conference_that_has_ended() -> None:
    picture = ConferencePicture(Conference(id="c1"), [])
    picture.apply(HISTORY[0])

    changes = picture.apply(event("ended", 40))

    assert [it.participant is not None for it in changes] == [True, False]
    (member,) = picture.snapshot().participants
    assert member.participant.status == PARTICIPANT_STATUS_LEFT
    # A webhook of before that comes late brings nobody back.
    assert picture.apply(HISTORY[0]) == []


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
