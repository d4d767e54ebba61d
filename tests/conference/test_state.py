"""The state of a conference: what events, commands and the provider say, in any order."""

import itertools
import random
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.common_pb2 import SUPERVISOR_ROLE_MONITOR
from conferencing.v1.conference_pb2 import (
    CONFERENCE_STATUS_COMPLETED,
    CONFERENCE_STATUS_IN_PROGRESS,
    PARTICIPANT_STATUS_JOINED,
    PARTICIPANT_STATUS_LEFT,
    Conference,
    Participant,
)
from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import (
    RECORDING_STATE_ACTIVE,
    RECORDING_STATE_PAUSED,
    RECORDING_STATE_SAVED,
)
from gateway.conference.state import ConferencePicture


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


@pytest.mark.parametrize(
    ("request_", "recording"),
    [
        (c.StartRecordingRequest(), RECORDING_STATE_ACTIVE),
        (c.ResumeRecordingRequest(), RECORDING_STATE_ACTIVE),
        (c.PauseRecordingRequest(), RECORDING_STATE_PAUSED),
    ],
)
def test_a_command_tells_of_a_recording_once(request_: Message, recording: int) -> None:
    picture = ConferencePicture(Conference(id="c1"), [])

    change = picture.learn(request_)

    assert change is not None
    assert change.conference is not None
    assert change.conference.recording == recording
    assert picture.learn(request_) is None


@pytest.mark.parametrize(
    "request_type", [c.JoinConferenceRequest, c.UpdateSupervisorRoleRequest], ids=str
)
def test_a_role_is_kept_for_whoever_is_yet_to_be_seen(request_type: Any) -> None:
    picture = ConferencePicture(Conference(id="c1"), [])
    monitor = SUPERVISOR_ROLE_MONITOR

    assert picture.learn(request_type(call_control_id="a", supervisor_role=monitor)) is None
    (change,) = picture.apply(HISTORY[0])

    assert change.participant is not None
    assert change.participant.supervisor_role == monitor


def test_a_command_that_events_or_the_provider_tell_of_changes_nothing_by_itself() -> None:
    picture = ConferencePicture(Conference(id="c1"), [Participant(call_control_id="a")])
    before = picture.snapshot()

    for request in (
        c.MuteParticipantsRequest(call_control_ids=["a"]),
        c.StopRecordingRequest(),
        c.LeaveConferenceRequest(call_control_id="a"),
        c.EndConferenceRequest(),
    ):
        assert picture.learn(request) is None

    assert picture.snapshot() == before


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


def test_nobody_is_in_a_conference_that_has_ended() -> None:
    picture = ConferencePicture(Conference(id="c1"), [])
    picture.apply(HISTORY[0])

    changes = picture.apply(event("ended", 40))

    assert [it.participant is not None for it in changes] == [True, False]
    (member,) = picture.snapshot().participants
    assert member.participant.status == PARTICIPANT_STATUS_LEFT
    # A webhook of before that comes late brings nobody back.
    assert picture.apply(HISTORY[0]) == []
