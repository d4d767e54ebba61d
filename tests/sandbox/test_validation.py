"""What is said of each kind of wrong parameter, and what is taken although it looks wrong."""

from typing import Any

import pytest

from gateway.sandbox.errors import RefusedError
from gateway.sandbox.operations import load_operations
from gateway.sandbox.validation import Arguments, Validation

OPERATIONS = {it.id: it for it in load_operations()}
SPEAK = {"payload": "Hi", "voice": "female"}


@pytest.fixture(scope="module")
def validation() -> Validation:
    return Validation(OPERATIONS.values())


def checked(
    validation: Validation, operation: str, body: Any, query: dict[str, str] | None = None
) -> Arguments:
    # Short names for what is called by long ones everywhere else.
    name = operation if operation in OPERATIONS else f"conferences.{operation}"
    return validation.check(OPERATIONS[name], {}, body, query or {})


def details(
    validation: Validation, operation: str, body: Any, query: dict[str, str] | None = None
) -> list[str]:
    with pytest.raises(RefusedError) as refused:
        checked(validation, operation, body, query)
    return [it.detail for it in refused.value.problems]


@pytest.mark.parametrize(
    ("operation", "body", "detail"),
    [
        ("queues.create", {}, "'queue_name' is required."),
        ("queues.create", {"queue_name": 7}, "'queue_name' must be a string, got 7."),
        (
            "queues.create",
            {"queue_name": ""},
            "'queue_name' must have at least 1 characters, got 0.",
        ),
        (
            "calls.actions.enqueue",
            {"queue_name": "q" * 256},
            "'queue_name' must have at most 255 characters, got 256.",
        ),
        (
            "queues.update",
            {"max_size": 2.0},
            "'max_size' must be an integer, got 2.0.",
        ),
        ("queues.update", {"max_size": True}, "'max_size' must be an integer, got True."),
        ("queues.update", {"max_size": 0}, "'max_size' must be at least 1, got 0."),
        (
            "create",
            {"call_control_id": "c", "name": "n", "max_participants": 801},
            "'max_participants' must be at most 800, got 801.",
        ),
        (
            "create",
            {"call_control_id": "c", "name": "n", "region": "Mars"},
            "'region' must be one of Australia, Europe, Middle East, US, got 'Mars'.",
        ),
        (
            "create",
            {"call_control_id": "c", "name": "n", "region": 7},
            "'region' must be a string, got 7.",
        ),
        (
            "create",
            {"call_control_id": "c", "name": "n", "comfort_noise": 1},
            "'comfort_noise' must be true or false, got 1.",
        ),
        (
            "create",
            {"call_control_id": "c", "name": "n", "client_state": "not base64!"},
            "'client_state' must be base64, got 'not base64!'.",
        ),
        (
            # Bytes that no base64 has are not just passed over.
            "create",
            {"call_control_id": "c", "name": "n", "client_state": "YQ==\n"},
            "'client_state' must be base64, got 'YQ==\\n'.",
        ),
        (
            "create",
            {"call_control_id": "c", "name": "n", "duration_minutes": 0},
            "'duration_minutes' must be at least 1, got 0.",
        ),
        (
            "calls.actions.enqueue",
            {"queue_name": "q", "max_wait_time_secs": 0},
            "'max_wait_time_secs' must be at least 1, got 0.",
        ),
        (
            "create",
            {"call_control_id": "c", "name": "n", "client_state": {"of": "x" * 99}},
            "'client_state' must be a string, got {'of': '" + "x" * 49 + "....",
        ),
        (
            "actions.mute",
            {"call_control_ids": "c"},
            "'call_control_ids' must be a list of strings, got 'c'.",
        ),
        (
            "actions.mute",
            {"call_control_ids": ["c", None]},
            "'call_control_ids/1' must be a string, got None.",
        ),
        ("actions.play", {"loop": 101}, "'loop' must be 1 to 100 or 'infinity', got 101."),
        ("actions.play", {"loop": "101"}, "'loop' must be 1 to 100 or 'infinity', got '101'."),
        (
            "actions.send_dtmf",
            {"digits": "1x"},
            "'digits' may hold 0-9, A-D, *, #, w and W, got '1x'.",
        ),
        (
            "actions.send_dtmf",
            {"digits": "1\n"},
            "'digits' may hold 0-9, A-D, *, #, w and W, got '1\\n'.",
        ),
        (
            "actions.speak",
            SPEAK | {"voice_settings": {"type": None}},
            "'voice_settings/type' is required.",
        ),
        (
            "actions.speak",
            SPEAK | {"voice_settings": {"type": 7}},
            "'voice_settings/type' must be one of elevenlabs, telnyx, aws, minimax, azure, "
            "resemble, inworld, xai, soniox, got 7.",
        ),
        (
            "actions.speak",
            SPEAK | {"voice_settings": {"type": "soniox", "speed": "fast"}},
            "'voice_settings/speed' must be a number, got 'fast'.",
        ),
        (
            "actions.speak",
            SPEAK | {"voice_settings": ["telnyx"]},
            "'voice_settings' must be an object, got ['telnyx'].",
        ),
    ],
)
def test_what_is_wrong_with_a_body_is_said(
    validation: Validation, operation: str, body: Any, detail: str
) -> None:
    assert details(validation, operation, body) == [detail]


@pytest.mark.parametrize(
    ("operation", "query", "detail"),
    [
        ("list", {"page[size]": "251"}, "'page[size]' must be at most 250, got 251."),
        ("list", {"page[number]": "0"}, "'page[number]' must be at least 1, got 0."),
        ("list", {"page[number]": "1.0"}, "'page[number]' must be an integer, got '1.0'."),
        ("list", {"filter[failed]": "no"}, "'filter[failed]' must be true or false, got 'no'."),
        (
            "list",
            {"filter[occurred_at][lt]": "soon"},
            "'filter[occurred_at][lt]' must be an ISO 8601 time, got 'soon'.",
        ),
        (
            "webhook_deliveries.list",
            {"filter[started_at][gte]": "soon"},
            "'filter[started_at][gte]' must be an ISO 8601 time, got 'soon'.",
        ),
    ],
)
def test_what_is_wrong_with_a_query_is_said(
    validation: Validation, operation: str, query: dict[str, str], detail: str
) -> None:
    assert details(validation, operation, {}, query) == [detail]


def test_problems_come_in_the_order_of_the_parameters(validation: Validation) -> None:
    wrong = {"region": 7, "language": "Klingon", "voice_settings": {"type": "azure", "gender": "x"}}

    assert [it.split()[0] for it in details(validation, "actions.speak", wrong)] == [
        "'payload'",
        "'voice'",
        "'language'",
        "'region'",
        "'voice_settings/gender'",
    ]


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("actions.play", {"loop": "3"}),
        ("actions.play", {"loop": "infinity"}),
        ("actions.speak", SPEAK | {"voice": "sonIOX.tts.Emma", "language": "it"}),
        ("actions.speak", SPEAK | {"language": "it-IT"}),
        ("actions.speak", SPEAK | {"voice_settings": {"type": "minimax", "pitch": None}}),
        ("actions.speak", SPEAK | {"voice_settings": {"type": "aws", "unknown": 1}}),
    ],
)
def test_what_the_provider_takes_is_passed_on_as_it_came(
    validation: Validation, operation: str, body: Any
) -> None:
    assert checked(validation, operation, body).body == body


def test_what_is_null_or_unknown_is_not_passed_on(validation: Validation) -> None:
    arguments = checked(
        validation, "queues.list", {"x": 1}, {"page[number]": "2", "colour": "blue"}
    )

    assert (arguments.body, arguments.query) == ({}, {"page[number]": 2})
    assert checked(validation, "actions.mute", {"call_control_ids": None}).body == {}
