"""Who is muted, on hold, a supervisor or speaking on the board, by commands and events."""

from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1.common_pb2 import SupervisorRole
from conferencing.v1.conference_service_pb2 import (
    CreateConferenceRequest,
    HoldParticipantsRequest,
    JoinConferenceRequest,
    MuteParticipantsRequest,
    UnholdParticipantsRequest,
    UnmuteParticipantsRequest,
    UpdateSupervisorRoleRequest,
)
from conferencing.v1.event_pb2 import Event
from gateway.console.board import Board
from tests.console.test_board import T0, event, shown

BARGE, MONITOR = SupervisorRole.SUPERVISOR_ROLE_BARGE, SupervisorRole.SUPERVISOR_ROLE_MONITOR
NONE, WHISPER = SupervisorRole.SUPERVISOR_ROLE_NONE, SupervisorRole.SUPERVISOR_ROLE_WHISPER


class Told:
    """A board that is told of what happens in a conference, each thing a second after the last."""

    def __init__(self) -> None:
        self.board = Board()
        self._at = 0

    def command(self, request: Message) -> None:
        self._at += 1
        self.board.command(request, (T0 + self._at) * 1_000)

    def happens(self, what: str, call: str) -> None:
        self._at += 1
        type_ = f"conference.{what}"
        self.board.apply(event(type_, self._at, conference_id="c1", call_control_id=call))

    def joins(self, call: str, **fields: Any) -> None:
        self.command(JoinConferenceRequest(conference_id="c1", call_control_id=call, **fields))
        self.happens("participant.joined", call)

    def shown(self, call: str) -> tuple[str, ...]:
        """What is said of a call."""
        found = self.board.conference("c1")
        assert found is not None
        person = next(it for it in found["people"] if it["call"] == call)
        flags = [it for it in ("muted", "on_hold", "speaking", "has_floor") if person.get(it)]
        return (*flags, *([person["role"]] if "role" in person else []))


@pytest.fixture
def told() -> Told:
    told = Told()
    told.happens("participant.joined", "ann")
    return told


def one(request: Any, *calls: str) -> Message:
    made: Message = request(conference_id="c1", call_control_ids=calls)
    return made


def role(call: str, given: Any, *heard_by: str) -> UpdateSupervisorRoleRequest:
    return UpdateSupervisorRoleRequest(
        conference_id="c1",
        call_control_id=call,
        supervisor_role=given,
        whisper_call_control_ids=heard_by,
    )


def test_who_joins_muted_or_on_hold_is_shown_so(told: Told) -> None:
    told.joins("bob", mute=True)
    told.joins("cat", hold=True)
    told.joins("dan", mute=False, hold=False)

    assert [told.shown(it) for it in ("ann", "bob", "cat", "dan")] == [
        (),
        ("muted",),
        ("on_hold",),
        (),
    ]
    told.command(one(UnmuteParticipantsRequest, "bob"))
    told.command(one(UnholdParticipantsRequest, "cat", "dan"))
    assert told.shown("bob") == told.shown("cat") == ()


def test_who_joins_again_is_as_the_latest_command_says(told: Told) -> None:
    told.joins("bob", mute=True, supervisor_role=BARGE)
    told.command(one(HoldParticipantsRequest, "bob"))
    assert told.shown("bob") == ("muted", "on_hold", "barge")

    told.happens("participant.left", "bob")
    told.joins("bob")

    assert told.shown("bob") == ()


def test_a_late_leaving_takes_nothing_from_who_has_joined_again(told: Told) -> None:
    told.joins("bob", hold=True)
    left = event("conference.participant.left", 3, conference_id="c1", call_control_id="bob")
    told.happens("floor.changed", "ann")
    told.joins("bob", mute=True)

    told.board.apply(left)

    assert told.shown("bob") == ("muted",)


def test_a_command_for_everybody_is_for_who_is_there(told: Told) -> None:
    told.happens("participant.joined", "bob")
    told.happens("participant.left", "bob")
    late = event("conference.participant.joined", 4, conference_id="c1", call_control_id="cat")
    told.happens("floor.changed", "nobody")
    told.command(one(MuteParticipantsRequest))
    told.command(one(HoldParticipantsRequest))
    told.command(one(UnholdParticipantsRequest, "ann"))
    told.happens("participant.joined", "bob")
    told.joins("dan")
    told.board.apply(late)

    assert [told.shown(it) for it in ("ann", "bob", "cat", "dan")] == [
        ("muted",),
        (),
        ("muted", "on_hold"),
        (),
    ]
    told.command(one(UnmuteParticipantsRequest))
    assert [told.shown(it) for it in ("ann", "cat")] == [(), ("on_hold",)]


def test_a_command_for_everybody_counts_though_the_providers_clock_is_ahead(told: Told) -> None:
    joined = "conference.participant.joined"
    told.board.apply(event(joined, 3_600, conference_id="c1", call_control_id="bob"))

    told.command(one(MuteParticipantsRequest))
    told.command(one(HoldParticipantsRequest))

    assert told.shown("bob") == ("muted", "on_hold")


def test_supervisors_are_shown_and_who_only_listens_is_muted(told: Told) -> None:
    told.joins("sue", supervisor_role=MONITOR)
    assert told.shown("sue") == ("muted", "monitor")
    told.command(one(UnmuteParticipantsRequest))
    assert told.shown("sue") == ("muted", "monitor")

    seen = []
    for new_role, heard_by in ((WHISPER, ["ann"]), (WHISPER, []), (BARGE, []), (NONE, [])):
        told.command(role("sue", new_role, *heard_by))
        seen.append(told.shown("sue"))

    assert seen == [("whisper",), ("muted", "whisper"), ("barge",), ()]


@pytest.mark.parametrize(
    "silence",
    [
        one(HoldParticipantsRequest, "ann"),
        one(MuteParticipantsRequest),
        role("ann", MONITOR),
    ],
    ids=["on hold", "muted", "monitor"],
)
def test_nobody_speaks_whom_nobody_hears(told: Told, silence: Message) -> None:
    told.happens("floor.changed", "ann")
    assert told.shown("ann") == ("speaking", "has_floor")

    told.command(silence)

    shown = told.shown("ann")
    assert "has_floor" in shown
    assert "speaking" not in shown


CREATED = CreateConferenceRequest(call_control_id="ann", start_conference_on_create=False)


@pytest.mark.parametrize("command_first", [True, False])
def test_who_waits_for_the_start_is_on_hold_until_somebody_starts(command_first: bool) -> None:
    told = Told()
    if command_first:
        told.command(CREATED)
    told.happens("created", "ann")
    if not command_first:
        told.command(CREATED)
    told.happens("participant.joined", "ann")
    told.joins("bob")
    told.joins("cat", hold=True)
    told.command(one(UnholdParticipantsRequest, "bob"))
    assert [told.shown(it) for it in ("ann", "bob", "cat")] == [("on_hold",), (), ("on_hold",)]

    told.joins("dan", start_conference_on_enter=True)

    found = [told.shown(it) for it in ("ann", "bob", "cat", "dan")]
    assert found == [(), (), ("on_hold",), ()]
    (conference,) = shown(told.board, "conferences")
    assert conference["commands"][0]["rpc"] == "CreateConference"


@pytest.mark.parametrize(
    "request_",
    [
        CreateConferenceRequest(call_control_id="ann"),
        CreateConferenceRequest(call_control_id="ann", start_conference_on_create=True),
        CreateConferenceRequest(call_control_id="zoe", start_conference_on_create=False),
    ],
)
def test_in_a_conference_that_starts_at_once_nobody_waits(request_: Message) -> None:
    told = Told()
    told.command(request_)
    told.happens("created", "ann")
    told.happens("participant.joined", "ann")

    assert told.shown("ann") == ()


def test_an_older_conference_of_the_same_call_is_not_the_one_that_waits(told: Told) -> None:
    told.board.command(CREATED, (T0 + 3_600) * 1_000)
    told.happens("created", "ann")

    assert told.shown("ann") == ()


def test_a_conference_that_commands_alone_tell_of_is_shown_with_its_first_event() -> None:
    told = Told()
    told.command(JoinConferenceRequest(conference_id="c1", call_control_id="bob", mute=True))
    assert shown(told.board, "conferences") == []
    assert told.board.take_changes() == set()

    told.happens("participant.joined", "bob")

    assert told.shown("bob") == ("muted",)


# --- In any order

COMMANDS = st.one_of(
    st.sampled_from(
        [
            one(MuteParticipantsRequest),
            one(UnmuteParticipantsRequest),
            one(HoldParticipantsRequest),
            *(
                one(it, call)
                for call in ("ann", "bob")
                for it in (
                    MuteParticipantsRequest,
                    UnmuteParticipantsRequest,
                    HoldParticipantsRequest,
                    UnholdParticipantsRequest,
                )
            ),
            role("bob", MONITOR),
            role("bob", NONE),
        ]
    ),
    st.builds(
        JoinConferenceRequest,
        conference_id=st.just("c1"),
        call_control_id=st.sampled_from(["ann", "bob"]),
        mute=st.booleans(),
        hold=st.booleans(),
        supervisor_role=st.sampled_from([BARGE, MONITOR, NONE]),
    ),
)


def told_of(commands: list[Message], delays: list[int]) -> Any:
    """The board after these commands, and the events that they cause, each so late."""
    steps: list[tuple[float, Event | None, Message | None, int]] = []
    present: set[str] = set()
    for number, request in enumerate(commands):
        at = 10 * number
        if isinstance(request, JoinConferenceRequest):
            call = request.call_control_id
            moved = [("left", at - 5)] if call in present else []
            present.add(call)
            for what, when in [*moved, ("joined", at)]:
                told = event(
                    f"conference.participant.{what}", when, conference_id="c1", call_control_id=call
                )
                steps.append((when + 10 * delays[number % len(delays)], told, None, when))
        steps.append((at, None, request, at))
    board = Board()
    board.apply(event("conference.created", -10, conference_id="c1", call_control_id="x"))
    for _, happened, commanded, at in sorted(steps, key=lambda it: it[0]):
        if happened is not None:
            board.apply(happened)
        elif commanded is not None:
            board.command(commanded, (T0 + at) * 1_000)
    found = board.conference("c1")
    assert found is not None
    return found["people"]


@given(st.lists(COMMANDS, max_size=12), st.lists(st.integers(0, 8), min_size=1, max_size=12))
def test_it_does_not_matter_how_late_events_are(commands: list[Message], delays: list[int]) -> None:
    assert told_of(commands, delays) == told_of(commands, [0])
