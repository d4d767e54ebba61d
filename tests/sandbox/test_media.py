from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.stage import ALICE, BOB, CAROL, Stage, errors

AUDIO = "http://example.com/a.wav"


def test_speech_is_heard_for_as_long_as_it_takes_to_say(stage: Stage) -> None:
    conference = stage.create()
    stage.forget()

    stage.act(conference, "speak", payload="x" * 50, voice="female")
    stage.control.advance(2.9)
    assert stage.types() == ["conference.speak.started"]
    stage.control.advance(0.1)

    assert stage.types() == ["conference.speak.started", "conference.speak.ended"]


def test_playback_lasts_three_seconds_a_round(stage: Stage) -> None:
    conference = stage.create()
    stage.forget()

    stage.act(conference, "play", audio_url=AUDIO, loop=2)
    stage.control.advance(5.9)
    assert stage.types() == ["conference.playback.started"]
    stage.control.advance(0.1)

    started, ended = stage.events()
    assert ended["event_type"] == "conference.playback.ended"
    assert started["payload"]["media_url"] == AUDIO
    assert started["payload"]["media_name"] is None
    assert started["payload"]["creator_call_session_id"] == (
        stage.control.call(ALICE).call_session_id
    )


def test_an_endless_loop_runs_until_stopped(stage: Stage) -> None:
    conference = stage.create()
    stage.forget()
    stage.act(conference, "play", media_name="tune", loop="infinity")

    stage.control.advance(3600)
    assert stage.types() == ["conference.playback.started"]
    stage.act(conference, "stop")

    assert stage.types() == ["conference.playback.started", "conference.playback.ended"]


def test_what_is_said_to_some_is_an_event_for_each(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB, CAROL)
    stage.forget()

    stage.act(conference, "speak", payload="Hi", voice="male", call_control_ids=[BOB, CAROL])
    stage.control.advance(1)

    heard = [(one["event_type"], one["payload"]["call_control_id"]) for one in stage.events()]
    assert heard == [
        ("conference.participant.speak.started", BOB),
        ("conference.participant.speak.started", CAROL),
        ("conference.participant.speak.ended", BOB),
        ("conference.participant.speak.ended", CAROL),
    ]


def test_stopping_for_some_leaves_the_others_their_sound(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.act(conference, "play", audio_url=AUDIO, call_control_ids=[ALICE, BOB])
    stage.act(conference, "play", audio_url=AUDIO)
    stage.forget()

    stage.act(conference, "stop", call_control_ids=[BOB])

    assert [(one["event_type"], one["payload"]["call_control_id"]) for one in stage.events()] == [
        ("conference.participant.playback.ended", BOB)
    ]
    stage.act(conference, "stop")
    assert sorted(stage.types()[1:]) == [
        "conference.participant.playback.ended",
        "conference.playback.ended",
    ]


def test_stopping_silence_is_fine(stage: Stage) -> None:
    conference = stage.create()
    stage.forget()

    stage.act(conference, "stop")

    assert stage.types() == []


def test_a_sound_ends_when_its_listener_leaves(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.act(conference, "play", audio_url=AUDIO, call_control_ids=[BOB])
    stage.forget()

    stage.act(conference, "leave", call_control_id=BOB)
    stage.control.advance(10)

    assert stage.types() == [
        "conference.participant.playback.ended",
        "conference.participant.left",
    ]


def test_sounds_end_with_the_conference(stage: Stage) -> None:
    conference = stage.create()
    stage.act(conference, "play", audio_url=AUDIO, loop="infinity")
    stage.forget()

    stage.act(conference, "end")
    stage.control.advance(10)

    assert stage.types() == [
        "conference.playback.ended",
        "conference.participant.left",
        "conference.ended",
    ]


def test_the_prompt_of_a_gather_is_played_to_its_participant(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.forget()

    stage.act(conference, "gather_using_audio", call_control_id=BOB, audio_url=AUDIO)
    stage.control.advance(3)

    assert stage.types() == [
        "conference.participant.playback.started",
        "conference.participant.playback.ended",
    ]


def test_tones_go_to_those_who_are_there(stage: Stage) -> None:
    conference = stage.meet(ALICE, BOB)
    stage.forget()

    stage.act(conference, "send_dtmf", digits="12w*#")
    stage.act(conference, "send_dtmf", digits="1", call_control_ids=[BOB])
    answer = stage.post(
        f"/conferences/{conference}/actions/send_dtmf", digits="1", call_control_ids=[CAROL]
    )

    assert errors(answer) == [("90033", "/call_control_ids/0")]
    assert stage.types() == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, ("10004", "/audio_url")),
        ({"audio_url": AUDIO, "media_name": "tune"}, ("10015", "/media_name")),
        ({"audio_url": AUDIO, "loop": 0}, ("10015", "/loop")),
        ({"audio_url": AUDIO, "loop": 101}, ("10015", "/loop")),
        ({"audio_url": AUDIO, "loop": "forever"}, ("10015", "/loop")),
        ({"audio_url": AUDIO, "loop": True}, ("10015", "/loop")),
        ({"audio_url": AUDIO, "call_control_ids": [1]}, ("10015", "/call_control_ids/0")),
    ],
)
def test_play_says_what_is_wrong(
    stage: Stage, body: dict[str, Any], error: tuple[str, str]
) -> None:
    answer = stage.post(f"/conferences/{stage.create()}/actions/play", **body)

    assert answer.status_code == 422
    assert errors(answer) == [error]
