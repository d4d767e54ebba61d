"""What every request has in common: keys, validation, pages, the form of errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox.stage import ALICE, BOB, Stage, errors


@pytest.mark.parametrize("header", [None, "", "KEY", "Bearer", "Basic KEY"])
def test_without_a_key_nothing_is_answered(stage: Stage, header: str | None) -> None:
    del stage.http.headers["authorization"]

    answer = stage.http.get("/queues", headers={} if header is None else {"authorization": header})

    assert answer.status_code == 401
    assert errors(answer) == [("10009", None)]


def test_only_listed_keys_are_taken_when_there_is_a_list(open_stage: Callable[..., Stage]) -> None:
    stage = open_stage(api_keys=("GOOD", "OLD"), rejected_api_keys=("OLD",))

    def status(key: str) -> int:
        return stage.http.get("/queues", headers={"authorization": f"Bearer {key}"}).status_code

    assert (status("GOOD"), status("OLD"), status("OTHER")) == (200, 401, 401)


def test_an_error_is_in_the_providers_form(stage: Stage) -> None:
    answer = stage.post("/queues")

    assert answer.json() == {
        "errors": [
            {
                "code": "10004",
                "title": "Missing required parameter",
                "detail": "'queue_name' is required.",
                "source": {"pointer": "/queue_name"},
                "meta": {"url": "https://developers.telnyx.com/docs/overview/errors/10004"},
            }
        ]
    }
    assert answer.headers["content-type"] == "application/json"


def test_every_answer_has_a_request_id_of_its_own(stage: Stage) -> None:
    answers = [
        stage.http.get("/queues"),
        stage.http.get("/queues/none"),
        stage.http.delete("/queues"),
        stage.http.get("/queues", headers={"authorization": ""}),
    ]

    assert len({one.headers["x-request-id"] for one in answers}) == 4


def test_unknown_paths_and_wrong_methods_are_told_apart(stage: Stage) -> None:
    for path in ("/nothing", "/queues/a/b/c", "/conferences/", "/queues//calls"):
        answer = stage.http.get(path)
        assert (answer.status_code, errors(answer)) == (404, [("10005", None)])

    answer = stage.http.put("/queues/support")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, POST"


def test_what_is_outside_the_api_is_not_there(stage: Stage) -> None:
    url = stage.sandbox.base_url.removesuffix("/v2")

    for path in ("/", "/v1/queues", "/v22/queues", "/queues"):
        assert stage.http.get(url + path).status_code == 404


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_must_be_a_json_object(stage: Stage, content: bytes) -> None:
    answer = stage.http.post("/queues", content=content)

    assert answer.status_code == 400
    assert errors(answer) == [("10023", None)]


def test_a_command_without_parameters_needs_no_body(stage: Stage) -> None:
    conference = stage.create()

    assert stage.http.post(f"/conferences/{conference}/actions/mute").status_code == 200


def test_a_huge_body_is_refused(stage: Stage) -> None:
    answer = stage.http.post("/queues", content=b'"' + b"x" * 2_000_000 + b'"')

    assert answer.status_code == 413


def test_everything_missing_and_wrong_is_named_in_one_answer(stage: Stage) -> None:
    answer = stage.post(
        "/conferences",
        beep_enabled="sometimes",
        client_state="not base64!",
        comfort_noise="yes",
        max_participants=1,
        duration_minutes=1.5,
        region=7,
        unknown={"is": "ignored"},
        hold_audio_url=None,
    )

    assert answer.status_code == 422
    assert errors(answer) == [
        ("10004", "/call_control_id"),
        ("10004", "/name"),
        ("10015", "/beep_enabled"),
        ("10015", "/client_state"),
        ("10015", "/comfort_noise"),
        ("10015", "/duration_minutes"),
        ("10015", "/max_participants"),
        ("10015", "/region"),
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"type": "telnyx", "voice_speed": 1.2}, []),
        ({"type": "telnyx", "voice_speed": 1, "unknown": 1}, []),
        ({"type": "minimax", "language_boost": None, "pitch": 2}, []),
        ({}, [("10004", "/voice_settings/type")]),
        ({"type": "parrot"}, [("10015", "/voice_settings/type")]),
        ({"type": "azure", "gender": "None"}, [("10015", "/voice_settings/gender")]),
        ({"type": "soniox", "speed": "fast"}, [("10015", "/voice_settings/speed")]),
        ("telnyx", [("10015", "/voice_settings")]),
    ],
)
def test_voice_settings_are_checked_by_provider(
    stage: Stage, settings: Any, expected: list[tuple[str, str]]
) -> None:
    answer = stage.post(
        f"/conferences/{stage.create()}/actions/speak",
        payload="Hi",
        voice="Telnyx.KokoroTTS.af",
        voice_settings=settings,
    )

    assert answer.status_code == (422 if expected else 200)
    assert errors(answer) == expected if expected else True


def test_soniox_voices_take_languages_of_two_letters(stage: Stage) -> None:
    path = f"/conferences/{stage.create()}/actions/speak"
    said = {"payload": "Ciao", "language": "it"}

    assert stage.post(path, voice="Soniox.tts-rt-v2.Emma", **said).status_code == 200
    assert errors(stage.post(path, voice="female", **said)) == [("10015", "/language")]


def test_lists_come_in_pages(stage: Stage) -> None:
    for number in range(23):
        stage.post("/queues", queue_name=f"queue-{number:02}")

    first = stage.get("/queues")
    last = stage.get("/queues", **{"page[number]": 3, "page[size]": 10})
    beyond = stage.get("/queues", **{"page[number]": 9, "page[size]": 10})

    assert len(first["data"]) == 20
    assert first["meta"] == {
        "page_number": 1,
        "page_size": 20,
        "total_pages": 2,
        "total_results": 23,
    }
    assert [one["name"] for one in last["data"]] == ["queue-20", "queue-21", "queue-22"]
    assert last["meta"]["total_pages"] == 3
    assert beyond["data"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page[size]", "0"),
        ("page[size]", "251"),
        ("page[size]", "many"),
        ("page[number]", "0"),
        ("region", "Mars"),
        ("filter[status]", "over"),
        ("filter[failed]", "maybe"),
        ("filter[occurred_at][gte]", "yesterday"),
        ("filter[application_name][contains]", "ab"),
    ],
)
def test_a_wrong_query_parameter_is_named(stage: Stage, name: str, value: str) -> None:
    answer = stage.http.get("/conferences", params={name: value})

    assert answer.status_code == 422
    assert errors(answer) == [("10015", f"/{name}")]


def test_unknown_query_parameters_are_ignored(stage: Stage) -> None:
    assert stage.http.get("/queues", params={"colour": "blue"}).status_code == 200


def test_a_repeat_under_the_same_command_id_runs_once(stage: Stage) -> None:
    body = {"call_control_id": ALICE, "name": "Standup", "command_id": "c-1"}

    first = stage.post("/conferences", **body)
    again = stage.post("/conferences", **body)

    assert first.json() == again.json()
    assert len(stage.control.executions("conferences.create")) == 1
    assert len(stage.control.requests("conferences.create")) == 2


def test_a_command_id_is_forgotten_after_a_minute(stage: Stage) -> None:
    conference = stage.create()
    speak = {"payload": "Hi", "voice": "female", "command_id": "c-1"}

    for seconds in (0, 59.9, 0.1):
        stage.control.advance(seconds)
        stage.act(conference, "speak", **speak)

    assert len(stage.control.executions("conferences.actions.speak")) == 2


def test_a_command_id_counts_for_one_endpoint_and_one_call(stage: Stage) -> None:
    conference = stage.create(command_id="c-1")
    stage.act(conference, "join", call_control_id=BOB, command_id="c-1")
    stage.act(conference, "record_start", format="wav", command_id="c-1")
    stage.act(conference, "leave", call_control_id=BOB, command_id="c-1")
    stage.enqueue(BOB, command_id="c-1")

    assert len(stage.control.executions()) == 5


def test_a_refused_command_may_be_repeated_under_its_id(stage: Stage) -> None:
    conference = stage.create()
    path = f"/conferences/{conference}/actions/leave"
    leave = {"call_control_id": BOB, "command_id": "c-1"}

    refused = stage.post(path, **leave)
    stage.act(conference, "join", call_control_id=BOB)
    taken = stage.post(path, **leave)

    assert (refused.status_code, taken.status_code) == (422, 200)


def test_without_a_command_id_everything_runs_each_time(stage: Stage) -> None:
    conference = stage.create()

    for _ in range(2):
        stage.act(conference, "speak", payload="Hi", voice="female")
        stage.act(conference, "mute", command_id="ignored-here")

    assert len(stage.control.executions("conferences.actions.speak")) == 2
    assert len(stage.control.executions("conferences.actions.mute")) == 2
