from __future__ import annotations

import pytest

from tests.sandbox.stage import ALICE, BOB, CAROL, Stage, errors


def test_joining_can_mute_and_hold_at_once(stage: Stage) -> None:
    conference = stage.create()

    stage.act(
        conference,
        "join",
        call_control_id=BOB,
        mute=True,
        hold=True,
        end_conference_on_exit=True,
        soft_end_conference_on_exit=True,
    )

    bob = stage.participant(conference, BOB)
    for flag in ("muted", "on_hold", "end_conference_on_exit", "soft_end_conference_on_exit"):
        assert bob[flag] is True
    assert bob["conference"] == {"id": conference, "name": "Standup"}
    assert bob["status"] == "joined"


@pytest.mark.parametrize(
    ("on", "off", "flag"), [("mute", "unmute", "muted"), ("hold", "unhold", "on_hold")]
)
def test_listed_participants_are_muted_or_held_and_released(
    stage: Stage, on: str, off: str, flag: str
) -> None:
    conference = stage.meet(ALICE, BOB, CAROL)

    stage.act(conference, on, call_control_ids=[BOB, CAROL])
    assert [one[flag] for one in stage.participants(conference)] == [False, True, True]
    stage.act(conference, off, call_control_ids=[BOB])

    assert [one[flag] for one in stage.participants(conference)] == [False, False, True]


@pytest.mark.parametrize("listed", [{}, {"call_control_ids": []}])
def test_without_a_list_everybody_is_meant(stage: Stage, listed: dict[str, list[str]]) -> None:
    conference = stage.meet(ALICE, BOB)

    stage.act(conference, "mute", **listed)
    stage.act(conference, "hold", **listed)
    assert {(one["muted"], one["on_hold"]) for one in stage.participants(conference)} == {
        (True, True)
    }
    stage.act(conference, "unmute", **listed)

    assert {one["muted"] for one in stage.participants(conference)} == {False}


def test_every_misfit_in_a_list_is_named_and_nobody_is_touched(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)

    answer = stage.post(
        f"/conferences/{conference}/actions/mute", call_control_ids=[ALICE, CAROL, "v3:nobody"]
    )

    assert errors(answer) == [("90033", "/call_control_ids/1"), ("10005", "/call_control_ids/2")]
    assert {one["muted"] for one in stage.participants(conference)} == {False}


def test_participants_can_be_filtered(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB, CAROL)
    stage.act(conference, "mute", call_control_ids=[BOB])
    stage.act(conference, "hold", call_control_ids=[CAROL])
    stage.act(
        conference,
        "update",
        call_control_id=ALICE,
        supervisor_role="whisper",
        whisper_call_control_ids=[BOB],
    )

    def found(name: str, value: str) -> list[str]:
        listed = stage.participants(conference, **{f"filter[{name}]": value})
        return [one["call_control_id"] for one in listed]

    assert found("muted", "true") == [BOB]
    assert found("muted", "false") == [ALICE, CAROL]
    assert found("on_hold", "true") == [CAROL]
    assert found("whispering", "true") == [ALICE]
    assert found("whispering", "false") == [BOB, CAROL]


def test_a_participant_is_found_by_id_also_after_leaving(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    listed = stage.participant(conference, BOB)

    path = f"/conferences/{conference}/participants/{listed['id']}"
    joined = stage.get(path)["data"]
    stage.act(conference, "leave", call_control_id=BOB)
    left = stage.get(path)["data"]

    assert joined["conference_id"] == conference
    assert (joined["status"], left["status"]) == ("joined", "left")
    assert [one["call_control_id"] for one in stage.participants(conference)] == [ALICE]


def test_what_happens_on_exit_can_be_changed(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    path = f"/conferences/{conference}/participants/{stage.participant(conference, BOB)['id']}"

    answer = stage.http.patch(path, json={"end_conference_on_exit": True, "beep_enabled": "never"})

    assert answer.status_code == 200
    assert answer.json()["data"]["end_conference_on_exit"] is True
    stage.act(conference, "leave", call_control_id=BOB)
    assert stage.conference(conference)["end_reason"] == "host_left"


def test_one_who_left_cannot_be_changed(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    path = f"/conferences/{conference}/participants/{stage.participant(conference, BOB)['id']}"
    stage.act(conference, "leave", call_control_id=BOB)

    answer = stage.http.patch(path, json={"end_conference_on_exit": True})

    assert answer.status_code == 422
    assert errors(answer) == [("90033", None)]


def test_supervisor_roles_decide_who_is_heard(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)

    def update(role: str, *whispers: str) -> dict[str, object]:
        stage.act(
            conference,
            "update",
            call_control_id=BOB,
            supervisor_role=role,
            whisper_call_control_ids=list(whispers),
        )
        return stage.participant(conference, BOB)

    assert update("monitor")["muted"] is True
    whispering = update("whisper", ALICE)
    assert whispering["muted"] is False
    assert whispering["whisper_call_control_ids"] == [ALICE]
    assert update("whisper")["muted"] is True
    assert update("barge")["muted"] is False
    assert update("none")["whisper_call_control_ids"] == []


def test_speaking_changes_the_floor_once(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.forget()

    assert stage.control.talk(BOB)
    assert not stage.control.talk(BOB)
    assert stage.control.talk(ALICE)

    floors = stage.events()
    assert [one["event_type"] for one in floors] == ["conference.floor.changed"] * 2
    assert [one["payload"]["call_control_id"] for one in floors] == [BOB, ALICE]
    assert floors[0]["payload"]["conference_id"] == conference


def test_those_who_are_not_heard_do_not_get_the_floor(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.act(conference, "mute", call_control_ids=[ALICE])
    stage.act(conference, "hold", call_control_ids=[BOB])

    assert not stage.control.talk(ALICE)
    assert not stage.control.talk(BOB)
    assert not stage.control.talk(CAROL)


def test_an_unknown_participant_is_not_found(stage: Stage) -> None:
    answer = stage.http.get(f"/conferences/{stage.create()}/participants/nobody")

    assert answer.status_code == 404
    assert errors(answer) == [("10005", None)]
