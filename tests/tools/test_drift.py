"""What `make drift` tells, on documents that are changed on purpose."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.schema.services import COMMAND_SERVICES
from tools.drift.facts import Difference, difference, facts
from tools.drift.protos import lacking
from tools.drift.report import report

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "gateway" / "sandbox" / "api.json"

Change = Callable[[Any], None]


def content(schema: Any) -> Any:
    return {"content": {"application/json": {"schema": schema}}}


SMALL = {
    "info": {"version": "1"},
    "paths": {
        "/cats/{id}": {
            "post": {
                "operationId": "cats.feed",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "filter[at]", "in": "query", "schema": {"type": "integer"}},
                ],
                "requestBody": content(
                    {
                        "type": "object",
                        "properties": {"food": {"type": "string", "enum": ["fish", "mice"]}},
                        "required": ["food"],
                    }
                ),
                "responses": {"2XX": content({"$ref": "#/components/schemas/Cat"})},
            }
        }
    },
    "webhooks": {
        "cat.fed": {"post": {"requestBody": content({"$ref": "#/components/schemas/Cat"})}}
    },
    "components": {
        "schemas": {
            "Cat": {
                "type": "object",
                "properties": {
                    "lives": {"type": "integer", "maximum": 9},
                    "kittens": {"type": "array", "items": {"$ref": "#/components/schemas/Cat"}},
                },
            }
        }
    },
}


def changed(document: Any, change: Change) -> Any:
    copied = copy.deepcopy(document)
    change(copied)
    return copied


def body_of(document: Any, path: str, method: str = "post") -> Any:
    content = document["paths"][path][method]["requestBody"]["content"]
    return content["application/json"]["schema"]


def committed() -> Any:
    return json.loads(COMMITTED.read_text(encoding="utf-8"))


def test_a_document_is_a_list_of_facts() -> None:
    assert list(facts(SMALL)) == [
        "cats.feed: POST /cats/{}",
        'cats.feed: query.filter[at] type "integer"',
        'cats.feed: body type "object"',
        "cats.feed: body.food is required",
        'cats.feed: body.food type "string"',
        'cats.feed: body.food may be "fish"',
        'cats.feed: body.food may be "mice"',
        'cats.feed: response type "object"',
        'cats.feed: response.lives type "integer"',
        "cats.feed: response.lives maximum 9",
        'cats.feed: response.kittens type "array"',
        "event cat.fed",
        'event cat.fed: body type "object"',
        'event cat.fed: body.lives type "integer"',
        "event cat.fed: body.lives maximum 9",
        'event cat.fed: body.kittens type "array"',
    ]


def test_variants_are_told_apart() -> None:
    speak = [it for it in facts(committed()) if it.startswith("conferences.actions.speak: body")]

    assert 'conferences.actions.speak: body.voice_settings(azure).gender may be "Male"' in speak
    assert "conferences.actions.play: body.loop(integer) maximum 100" in list(facts(committed()))


def test_the_same_document_with_other_names_of_segments_is_no_difference() -> None:
    def rename(document: Any) -> None:
        document["paths"]["/cats/{cat_id}"] = document["paths"].pop("/cats/{id}")

    assert difference(SMALL, changed(SMALL, rename)) == Difference((), ())


def new_parameter(document: Any) -> None:
    body_of(document, "/cats/{id}")["properties"]["drink"] = {"type": "string"}


def lost_text(document: Any) -> None:
    body_of(document, "/cats/{id}")["properties"]["food"]["enum"].remove("mice")


def other_limit(document: Any) -> None:
    document["components"]["schemas"]["Cat"]["properties"]["lives"]["maximum"] = 7


def new_event(document: Any) -> None:
    document["webhooks"]["cat.left"] = {"post": {"requestBody": content({})}}


@pytest.mark.parametrize(
    ("change", "gone", "new"),
    [
        (new_parameter, (), ('cats.feed: body.drink type "string"',)),
        (lost_text, ('cats.feed: body.food may be "mice"',), ()),
        (
            other_limit,
            ("cats.feed: response.lives maximum 9", "event cat.fed: body.lives maximum 9"),
            ("cats.feed: response.lives maximum 7", "event cat.fed: body.lives maximum 7"),
        ),
        (new_event, (), ("event cat.left",)),
    ],
)
def test_a_change_is_told(change: Change, gone: tuple[str], new: tuple[str]) -> None:
    assert difference(SMALL, changed(SMALL, change)) == Difference(gone, new)


def test_the_protos_lack_nothing_of_the_committed_table() -> None:
    assert list(lacking(committed(), COMMAND_SERVICES)) == []


def more_operations(document: Any) -> None:
    muted = document["paths"]["/conferences/{id}/actions/mute"]
    document["paths"]["/conferences/{id}/actions/applaud"] = {
        "post": muted["post"] | {"operationId": "conferences.actions.applaud"}
    }


def more_parameters(document: Any) -> None:
    body_of(document, "/conferences")["properties"]["colour"] = {"type": "string"}


def more_filters(document: Any) -> None:
    document["paths"]["/conferences"]["get"]["parameters"] += [
        {"name": "filter[occurred_at][ne]", "in": "query", "schema": {"type": "string"}},
        {"name": "sort", "in": "query", "schema": {"type": "string"}},
    ]


def more_texts(document: Any) -> None:
    body_of(document, "/conferences")["properties"]["region"]["enum"].append("Mars")


def more_engines(document: Any) -> None:
    path = "/conferences/{id}/actions/speak"
    branches = body_of(document, path)["properties"]["voice_settings"]["oneOf"]
    branches[0]["properties"]["pace"] = {"type": "number"}
    branches.append({"properties": {"type": {"enum": ["parrot"]}}})


def more_results(document: Any) -> None:
    schemas = document["components"]["schemas"]
    schemas["queue.Queue"]["properties"]["colour"] = {"type": "string"}
    schemas["conference.EndedBy"]["properties"]["why"] = {"type": "string"}
    schemas["conferences.conference_command_result.ConferenceCommandResult"]["properties"][
        "job_id"
    ] = {"type": "string"}


def more_events(document: Any) -> None:
    document["webhooks"]["conference.applauded"] = document["webhooks"]["conference.created"]


def more_payload(document: Any) -> None:
    payload = document["components"]["schemas"]["conference_ended.Payload"]["properties"]
    payload["colour"] = {"type": "string"}
    payload["reason"]["enum"].append("bored")


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        (
            more_operations,
            {
                "conferences.actions.applaud: POST /conferences/{id}/actions/applaud has no RPC",
            },
        ),
        (
            more_parameters,
            {"conferences.create: body.colour has no field in CreateConferenceRequest"},
        ),
        (
            more_filters,
            {
                "conferences.list: query.filter.occurred_at.ne has no field in TimeRange",
                "conferences.list: query.sort has no field in ListConferencesRequest",
            },
        ),
        (more_texts, {"conferences.create: body.region 'Mars' has no value in Region"}),
        (
            more_engines,
            {
                "conferences.actions.speak: body.voice_settings(elevenlabs).pace has no field in"
                " ElevenLabsVoiceSettings",
                "conferences.actions.speak: body.voice_settings.type 'parrot' has no message in"
                " VoiceSettings",
            },
        ),
        (more_events, {"event conference.applauded has no payload in Event"}),
        (
            more_payload,
            {
                "event conference.ended: body.data.payload.colour has no field in ConferenceEnded",
                "event conference.ended: body.data.payload.reason 'bored' has no value in"
                " ConferenceEndReason",
            },
        ),
    ],
)
def test_what_the_protos_lack_is_told(change: Change, lacks: set[str]) -> None:
    assert set(lacking(changed(committed(), change), COMMAND_SERVICES)) == lacks


def test_what_results_lack_is_told_of_each_operation() -> None:
    lacks = set(lacking(changed(committed(), more_results), COMMAND_SERVICES))

    assert {
        "queues.list: response.data.colour has no field in Queue",
        "queues.create: response.data.colour has no field in Queue",
        "conferences.retrieve: response.data.ended_by.why has no field in ConferenceEndedBy",
        "conferences.actions.mute: response.data.job_id has no field in CommandReceipt",
    } <= lacks


def test_the_report_says_what_to_do() -> None:
    newer = {"info": {"version": "2"}}

    assert list(report(SMALL, newer, Difference(("a",), ("b",)), ["c"])) == [
        "api.json is made from telnyx 1; the newest that can be installed is 2.",
        "The API has changed (+ is new, - is gone):",
        "  - a",
        "  + b",
        "To follow: `make lock`, `make api`, then the sandbox's handlers and the protos.",
        "The protos lack:",
        "  c",
    ]


def unchanged(document: Any) -> None:
    pass


def fewer_texts(document: Any) -> None:
    body_of(document, "/conferences")["properties"]["region"]["enum"].remove("US")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ours", "newest", "status", "told"),
    [
        (unchanged, unchanged, 0, "has not changed"),
        (unchanged, fewer_texts, 1, '- conferences.create: body.region may be "US"'),
        (fewer_texts, unchanged, 1, '+ conferences.create: body.region may be "US"'),
        # Also what has been committed may be more than the protos have.
        (more_texts, more_texts, 1, "body.region 'Mars' has no value in Region"),
    ],
)
def test_its_status_is_1_if_there_is_anything_to_tell(
    tmp_path: Path, ours: Change, newest: Change, status: int, told: str
) -> None:
    old, fresh = tmp_path / "old.json", tmp_path / "fresh.json"
    old.write_text(json.dumps(changed(committed(), ours)))
    fresh.write_text(json.dumps(changed(committed(), newest)))

    ran = subprocess.run(
        [sys.executable, "-m", "tools.drift", old, fresh],
        cwd=ROOT,
        env={"PYTHONPATH": "generated"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ran.returncode, ran.stderr) == (status, "")
    assert told in ran.stdout
