from __future__ import annotations

import base64

import pytest

from tests.sandbox.stage import ALICE, BOB, CAROL, Stage, errors

STATE = base64.b64encode(b"order 17").decode()


def test_creating_a_conference_puts_its_call_in(stage: Stage) -> None:
    conference = stage.create(name="Standup")

    shown = stage.conference(conference)
    assert shown["name"] == "Standup"
    assert shown["status"] == "in_progress"
    assert shown["end_reason"] is None
    assert [one["call_control_id"] for one in stage.participants(conference)] == [ALICE]
    assert stage.types() == ["conference.created", "conference.participant.joined"]


def test_a_conference_lasts_four_hours_unless_told_otherwise(stage: Stage) -> None:
    conference = stage.create()

    stage.control.advance(4 * 3600 - 1)
    assert stage.conference(conference)["status"] == "in_progress"
    stage.control.advance(1)

    shown = stage.conference(conference)
    assert (shown["status"], shown["end_reason"]) == ("completed", "time_exceeded")
    assert shown["ended_by"] == {"call_control_id": None, "call_session_id": None}
    assert shown["updated_at"] == shown["expires_at"]


def test_duration_minutes_limits_the_conference(stage: Stage) -> None:
    conference = stage.create(duration_minutes=2)
    stage.forget()

    stage.control.advance(119)
    assert stage.types() == []
    stage.control.advance(1)

    assert stage.types() == ["conference.participant.left", "conference.ended"]
    assert stage.events("conference.ended")[0]["payload"]["reason"] == "time_exceeded"
    assert stage.conference(conference)["end_reason"] == "time_exceeded"


def test_the_last_one_leaving_ends_the_conference(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)

    stage.act(conference, "leave", call_control_id=ALICE)
    assert stage.conference(conference)["status"] == "in_progress"
    stage.forget()
    stage.act(conference, "leave", call_control_id=BOB)

    shown = stage.conference(conference)
    assert (shown["status"], shown["end_reason"]) == ("completed", "all_left")
    assert shown["ended_by"]["call_control_id"] == BOB
    assert stage.types() == ["conference.participant.left", "conference.ended"]
    assert stage.control.call(BOB).state == "active"


def test_a_host_leaving_ends_the_conference_and_hangs_up_the_others(stage: Stage) -> None:
    conference = stage.create(BOB)
    stage.act(conference, "join", call_control_id=ALICE, end_conference_on_exit=True)
    stage.forget()

    stage.act(conference, "leave", call_control_id=ALICE)

    assert stage.conference(conference)["end_reason"] == "host_left"
    assert stage.events("conference.ended")[0]["payload"]["reason"] == "host_left"
    assert stage.types().count("conference.participant.left") == 2
    assert stage.control.call(ALICE).state == "active"
    assert stage.control.call(BOB).state == "ended"


def test_a_soft_host_leaving_closes_the_conference_to_newcomers(stage: Stage) -> None:
    conference = stage.create(BOB)
    stage.act(conference, "join", call_control_id=ALICE, soft_end_conference_on_exit=True)

    stage.act(conference, "leave", call_control_id=ALICE)

    assert stage.conference(conference)["status"] == "in_progress"
    assert stage.control.call(BOB).state == "active"
    answer = stage.post(f"/conferences/{conference}/actions/join", call_control_id=CAROL)
    assert answer.status_code == 422
    assert errors(answer) == [("90033", None)]


def test_ending_by_command_hangs_up_everybody(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.forget()

    stage.act(conference, "end")

    assert stage.conference(conference)["end_reason"] == "ended_via_api"
    assert stage.types() == [
        "conference.participant.left",
        "conference.participant.left",
        "conference.ended",
    ]
    assert {stage.control.call(one).state for one in (ALICE, BOB)} == {"ended"}


def test_an_ended_conference_takes_no_commands_but_can_be_seen(stage: Stage) -> None:
    conference = stage.create()
    stage.act(conference, "end")

    for action, body in (
        ("end", {}),
        ("mute", {}),
        ("join", {"call_control_id": BOB}),
        ("speak", {"payload": "Hi", "voice": "female"}),
    ):
        answer = stage.post(f"/conferences/{conference}/actions/{action}", **body)
        assert answer.status_code == 422
        assert errors(answer) == [("90019", None)]
    assert stage.participants(conference) == []


def test_a_full_conference_refuses(stage: Stage) -> None:
    conference = stage.create(max_participants=2)
    stage.act(conference, "join", call_control_id=BOB)

    answer = stage.post(f"/conferences/{conference}/actions/join", call_control_id=CAROL)

    assert answer.status_code == 422
    assert errors(answer) == [("90032", None)]


def test_a_call_cannot_be_in_two_conferences(stage: Stage) -> None:
    stage.create(ALICE)
    other = stage.create(BOB)

    join = stage.post(f"/conferences/{other}/actions/join", call_control_id=ALICE)
    create = stage.post("/conferences", call_control_id=ALICE, name="Another")

    for answer in (join, create):
        assert answer.status_code == 422
        assert errors(answer) == [("90033", "/call_control_id")]
    assert len(stage.get("/conferences")["data"]) == 2


def test_those_who_come_before_the_start_wait_on_hold(stage: Stage) -> None:
    conference = stage.create(start_conference_on_create=False)
    stage.act(conference, "join", call_control_id=BOB)

    assert stage.conference(conference)["status"] == "init"
    assert [one["on_hold"] for one in stage.participants(conference)] == [True, True]

    stage.act(conference, "join", call_control_id=CAROL, start_conference_on_enter=True, hold=True)

    assert stage.conference(conference)["status"] == "in_progress"
    held = {one["call_control_id"]: one["on_hold"] for one in stage.participants(conference)}
    assert held == {ALICE: False, BOB: False, CAROL: True}


def test_joining_takes_a_call_out_of_its_queue(stage: Stage) -> None:
    stage.enqueue(BOB)
    conference = stage.create()
    stage.forget()

    stage.act(conference, "join", call_control_id=BOB)

    assert stage.types() == ["call.dequeued", "conference.participant.joined"]
    assert stage.events("call.dequeued")[0]["payload"]["reason"] == "bridged"
    assert stage.control.call(BOB).queue_name is None


def test_a_hang_up_takes_the_call_out_of_its_conference(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.forget()

    stage.control.hang_up(BOB)

    assert stage.types() == ["conference.participant.left"]
    answer = stage.post(f"/conferences/{conference}/actions/join", call_control_id=BOB)
    assert errors(answer) == [("90018", "/call_control_id")]


def test_leaving_needs_the_call_to_be_there(stage: Stage) -> None:
    conference = stage.create()

    answer = stage.post(f"/conferences/{conference}/actions/leave", call_control_id=BOB)

    assert answer.status_code == 422
    assert errors(answer) == [("90033", "/call_control_id")]


def test_the_state_set_on_creation_comes_back_with_everything(stage: Stage) -> None:
    conference = stage.create(client_state=STATE)
    other = base64.b64encode(b"other").decode()
    stage.act(conference, "join", call_control_id=BOB, client_state=other, command_id="c-1")

    for event in stage.events():
        assert event["payload"]["client_state"] == STATE
        assert "command_id" not in event["payload"]
    assert stage.control.call(BOB).client_state == other


def test_the_owner_can_change_the_state_by_joining_again(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.act(conference, "leave", call_control_id=ALICE)
    stage.forget()

    stage.act(conference, "join", call_control_id=ALICE, client_state=STATE)
    stage.act(conference, "leave", call_control_id=BOB)

    assert [one["payload"]["client_state"] for one in stage.events()] == [STATE, STATE]


def test_hold_music_is_named_in_one_way_only(stage: Stage) -> None:
    answer = stage.post(
        "/conferences",
        call_control_id=ALICE,
        name="x",
        hold_audio_url="http://example.com/a.wav",
        hold_media_name="a",
    )

    assert answer.status_code == 422
    assert errors(answer) == [("10015", "/hold_media_name")]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"filter[name]": "One"}, {"One"}),
        ({"filter[name]": "one"}, set()),
        ({"filter[status]": "completed"}, {"Two"}),
        ({"filter[status]": "in_progress"}, {"One"}),
        ({"filter[connection_id]": "4711"}, {"Two"}),
        ({"filter[from]": "+4930123"}, {"Two"}),
        ({"filter[to]": "+4940123"}, {"Two"}),
        ({"filter[product]": "call_control"}, {"One", "Two"}),
        ({"filter[product]": "fax"}, set()),
        ({"filter[type]": "webhook"}, set()),
        ({"filter[failed]": "true"}, set()),
        ({"filter[failed]": "false"}, {"One", "Two"}),
        ({"filter[application_name][contains]": "sand"}, {"One", "Two"}),
        ({"filter[application_name][contains]": "other"}, set()),
        ({"filter[outbound.outbound_voice_profile_id]": "1"}, set()),
        ({"region": "Europe"}, {"One", "Two"}),
        ({"filter[name]": "One", "filter[status]": "completed"}, set()),
    ],
)
def test_conferences_can_be_filtered(
    stage: Stage, query: dict[str, str], expected: set[str]
) -> None:
    stage.create(ALICE, "One")
    call = stage.control.create_call(caller="+4930123", callee="+4940123", connection_id="4711")
    stage.act(stage.create(call.call_control_id, "Two"), "end")

    assert {one["name"] for one in stage.get("/conferences", **query)["data"]} == expected


def test_conferences_can_be_filtered_by_call_and_session(stage: Stage) -> None:
    stage.create(ALICE, "One")
    stage.create(BOB, "Two")
    bob = stage.control.call(BOB)

    for query in (
        {"filter[leg_id]": bob.call_leg_id},
        {"filter[application_session_id]": bob.call_session_id},
    ):
        assert [one["name"] for one in stage.get("/conferences", **query)["data"]] == ["Two"]


def test_conferences_can_be_filtered_by_time(stage: Stage) -> None:
    first = stage.conference(stage.create(ALICE, "One"))["created_at"]
    stage.control.advance(10)
    stage.create(BOB, "Two")

    def names(comparison: str) -> list[str]:
        found = stage.get("/conferences", **{f"filter[occurred_at][{comparison}]": first})
        return [one["name"] for one in found["data"]]

    assert names("eq") == ["One"]
    assert names("gt") == ["Two"]
    assert names("gte") == ["Two", "One"]
    assert names("lt") == []
    assert names("lte") == ["One"]


def test_the_conference_that_lasts_longest_is_listed_first(stage: Stage) -> None:
    stage.create(ALICE, "Short", duration_minutes=5)
    stage.create(BOB, "Long")

    assert [one["name"] for one in stage.get("/conferences")["data"]] == ["Long", "Short"]
