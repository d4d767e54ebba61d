from __future__ import annotations

from typing import Any

from tests.sandbox.stage import ALICE, BOB, Stage, errors


def test_a_stopped_recording_is_saved(stage: Stage) -> None:
    conference = stage.create(client_state="YQ==")
    stage.act(conference, "record_start", format="mp3", channels="dual", custom_file_name="call")
    stage.forget()
    stage.control.advance(90)

    stage.act(conference, "record_stop")

    [saved] = stage.events()
    payload = saved["payload"]
    assert saved["event_type"] == "conference.recording.saved"
    assert "occurred_at" not in saved
    assert "occurred_at" not in payload
    assert payload["channels"] == "dual"
    assert payload["format"] == "mp3"
    assert payload["client_state"] == "YQ=="
    assert payload["call_control_id"] == ALICE
    assert payload["recording_started_at"] < payload["recording_ended_at"]
    assert "/call-" in payload["recording_urls"]["mp3"]
    assert payload["recording_urls"]["mp3"].endswith(".mp3")
    assert payload["recording_urls"]["wav"] is None


def test_the_state_given_at_the_stop_comes_back(stage: Stage) -> None:
    conference = stage.create(client_state="YQ==")
    stage.act(conference, "record_start", format="wav")
    stage.act(conference, "record_stop", client_state="Yg==")

    [saved] = stage.events("conference.recording.saved")
    assert saved["payload"]["client_state"] == "Yg=="


def test_recordings_are_saved_when_the_conference_ends(stage: Stage) -> None:
    conference = stage.create()
    stage.act(conference, "record_start", format="wav")
    stage.forget()

    stage.act(conference, "end")

    assert stage.types() == [
        "conference.participant.left",
        "conference.ended",
        "conference.recording.saved",
    ]


def test_pause_and_resume_follow_each_other(stage: Stage) -> None:
    conference = stage.create()

    def refused(action: str) -> list[tuple[str, str | None]]:
        answer = stage.post(f"/conferences/{conference}/actions/{action}")
        assert answer.status_code == 422
        return errors(answer)

    for action in ("record_pause", "record_resume", "record_stop"):
        assert refused(action) == [("90033", None)]
    stage.act(conference, "record_start", format="wav")
    assert refused("record_resume") == [("90033", None)]
    stage.act(conference, "record_pause")
    assert refused("record_pause") == [("90033", None)]
    stage.act(conference, "record_resume")
    stage.act(conference, "record_pause")
    stage.act(conference, "record_stop")


def test_one_recording_of_several_can_be_named(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.act(conference, "record_start", format="wav")
    stage.act(conference, "record_start", format="mp3")
    stage.act(conference, "record_stop")
    saved: list[dict[str, Any]] = stage.events("conference.recording.saved")
    assert {one["payload"]["format"] for one in saved} == {"wav", "mp3"}

    gone = saved[0]["payload"]["recording_id"]
    answer = stage.post(f"/conferences/{conference}/actions/record_stop", recording_id=gone)

    assert answer.status_code == 404
    assert errors(answer) == [("10005", "/recording_id")]
