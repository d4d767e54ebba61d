"""The board: what is shown of conferences and queues, by events in any order and by commands."""

import itertools
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from conferencing.v1.conference_service_pb2 import (
    HoldParticipantsRequest,
    MuteParticipantsRequest,
    StartRecordingRequest,
    UnholdParticipantsRequest,
    UnmuteParticipantsRequest,
)
from conferencing.v1.event_pb2 import Event
from gateway.console.board import ENDED_SHOWN_MS, Board, event_value
from tests.console.pages import decoded

T0 = 1_800_000_000


def event(type_: str, at: int, **keys: str) -> Event:
    return Event(type=type_, occurred_at=Timestamp(seconds=T0 + at), **keys)  # type: ignore[arg-type]


def board_of(*events: Event) -> Board:
    board = Board()
    for it in events:
        board.apply(it)
    return board


STORY = (
    event("conference.created", 0, conference_id="c1", call_control_id="alice"),
    event("conference.participant.joined", 0, conference_id="c1", call_control_id="alice"),
    event("conference.participant.joined", 5, conference_id="c1", call_control_id="bob"),
    event("conference.floor.changed", 6, conference_id="c1", call_control_id="bob"),
    event("conference.participant.left", 9, conference_id="c1", call_control_id="alice"),
    event("call.enqueued", 1, queue_name="q", call_control_id="carol"),
    event("call.enqueued", 2, queue_name="q", call_control_id="dave"),
    event("call.dequeued", 4, queue_name="q", call_control_id="carol"),
)


def shown(board: Board, what: str) -> Any:
    return decoded(board.everything())[what]


def people(board: Board) -> dict[str, dict[str, Any]]:
    found = board.conference("c1")
    assert found is not None
    return {it["call"]: it for it in found["people"]}


@given(st.permutations(STORY))
def test_events_may_come_in_any_order(events: list[Event]) -> None:
    board = board_of(*events)

    bob = people(board).pop("bob")
    assert (bob["speaking"], bob["since"]) == (True, (T0 + 5) * 1_000)
    assert set(people(board)) == {"bob"}
    assert board.queue("q") == {
        "name": "q",
        "waiting": [{"call": "dave", "since": (T0 + 2) * 1_000}],
    }


@given(st.permutations(STORY))
def test_events_may_come_twice(events: list[Event]) -> None:
    assert shown(board_of(*events), "conferences") == shown(
        board_of(*events, *events), "conferences"
    )
    assert shown(board_of(*events), "queues") == shown(board_of(*events, *events), "queues")


def test_who_waits_longest_stands_first() -> None:
    calls = ("b", "c", "a")
    for order in itertools.permutations(range(3)):
        board = board_of(
            *(event("call.enqueued", at, queue_name="q", call_control_id=calls[at]) for at in order)
        )
        (queue,) = shown(board, "queues")
        assert [it["call"] for it in queue["waiting"]] == ["b", "c", "a"]


def test_a_queue_without_anybody_is_not_shown() -> None:
    board = board_of(
        event("call.enqueued", 0, queue_name="q", call_control_id="a"),
        event("call.dequeued", 1, queue_name="q", call_control_id="a"),
    )

    assert shown(board, "queues") == []
    assert board.take_changes() == {("queue", "q")}


def test_commands_show_who_is_muted_and_on_hold_until_they_leave() -> None:
    board = board_of(*STORY[:3])

    board.command(MuteParticipantsRequest(conference_id="c1", call_control_ids=["bob"]), 1)
    board.command(HoldParticipantsRequest(conference_id="c1"), 2)
    assert people(board)["bob"].keys() >= {"muted", "on_hold"}
    assert people(board)["alice"].keys().isdisjoint({"muted"})
    assert people(board)["alice"]["on_hold"]
    board.command(UnmuteParticipantsRequest(conference_id="c1", call_control_ids=["bob"]), 3)
    board.command(UnholdParticipantsRequest(conference_id="c1", call_control_ids=["bob"]), 4)
    assert people(board)["bob"].keys().isdisjoint({"muted", "on_hold"})
    assert people(board)["alice"]["on_hold"]

    board.apply(STORY[4])
    board.apply(
        event("conference.participant.joined", 20, conference_id="c1", call_control_id="alice")
    )
    assert "on_hold" not in people(board)["alice"]


def test_commands_stand_in_the_story_of_their_conference_alone() -> None:
    board = board_of(*STORY[:2])
    board.take_changes()

    board.command(StartRecordingRequest(conference_id="c1"), 7)
    board.command(StartRecordingRequest(conference_id="c2"), 8)

    (conference,) = shown(board, "conferences")
    assert conference["recording"] == "ACTIVE"
    assert conference["commands"] == [
        {"at": 7, "rpc": "StartRecording", "request": {"conference_id": "c1"}}
    ]
    assert board.take_changes() == {("conference", "c1")}


def test_a_conference_that_has_ended_stays_for_a_while() -> None:
    ended = event("conference.ended", 30, conference_id="c1")
    board = board_of(*STORY[:3], ended)
    at = (T0 + 30) * 1_000

    board.forget(at + ENDED_SHOWN_MS)
    (conference,) = shown(board, "conferences")
    assert (conference["ended"], conference["people"]) == (at, [])
    board.take_changes()
    board.forget(at + ENDED_SHOWN_MS + 1)

    assert shown(board, "conferences") == []
    assert board.take_changes() == {("conference", "c1")}


def test_events_of_nothing_are_on_no_board() -> None:
    board = board_of(
        event("conference.created", 0), event("call.enqueued", 0), event("fax.received", 0)
    )

    assert (shown(board, "conferences"), shown(board, "queues"), board.take_changes()) == (
        [],
        [],
        set(),
    )


def test_an_event_in_a_list_says_what_it_concerns() -> None:
    value = event_value(event("conference.created", 1, conference_id="c1", id="e1"))

    assert value == {
        "sequence": 0,
        "id": "e1",
        "type": "conference.created",
        "at": (T0 + 1) * 1_000,
        "conference": "c1",
    }
