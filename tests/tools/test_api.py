"""The sandbox's API table: that it is what the SDK says, and how it is read from there."""

import ast
import sys
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Required

import pytest
import telnyx
from jsonschema import Draft202012Validator
from telnyx._utils import PropertyInfo
from typing_extensions import TypedDict

import tools.api
from gateway.sandbox.execution import HANDLERS
from gateway.sandbox.operations import load_operations
from tools.api.document import document, text_of
from tools.api.documentation import of_arguments, with_limits
from tools.api.hints import keys_of
from tools.api.operations import Recorder, UnreadableMethodError, operation_of
from tools.api.schemas import HintError, Schemas

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "gateway" / "sandbox" / "api.json"


class Cat(TypedDict, total=False):
    kind: Required[Literal["cat"]]

    lives: int
    """How many are left. Must be between 1 and 9."""


class Dog(TypedDict, total=False):
    kind: Required[Literal["dog"]]

    tag: Annotated[str, PropertyInfo(alias="dog.tag")]


CAT = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["cat"]},
        "lives": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["kind"],
}
DOG = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["dog"]},
        "dog.tag": {"type": "string"},
    },
    "required": ["kind"],
}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


def test_the_committed_table_is_what_the_installed_sdk_says() -> None:
    # If it is not: `make api`, and look at what that changes.
    assert COMMITTED.read_text(encoding="utf-8") == text_of(document())


def test_the_schemas_are_schemas() -> None:
    for operation in load_operations():
        Draft202012Validator.check_schema(operation.body)
        Draft202012Validator.check_schema(operation.query)


def test_every_operation_is_carried_out() -> None:
    carried_out = {*HANDLERS, "webhook_deliveries.list", "webhook_deliveries.retrieve"}

    assert {it.id for it in load_operations()} == carried_out


def test_it_is_made_of_the_sdk_and_of_nothing_of_the_gateway() -> None:
    # In the environment of `make drift` there is nothing else.
    found = set()
    for module in Path(tools.api.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                found |= {it.name.partition(".")[0] for it in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])

    brought = {"httpx", "pydantic", "telnyx", "tools", "typing_extensions"}
    assert found - sys.stdlib_module_names == brought


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str | None, {"type": "string"}),
        (int | telnyx.Omit, {"type": "integer"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (typing.Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (str | Literal["a", "b"], {"type": "string", "examples": ["a", "b"]}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        (Mapping[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (str | int, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (Cat, CAT),
        (
            Cat | Dog,
            {
                "type": "object",
                "properties": {"kind": {"enum": ["cat", "dog"]}},
                "required": ["kind"],
                "discriminator": {"propertyName": "kind"},
                "oneOf": [CAT, DOG],
            },
        ),
    ],
)
def test_a_hint_becomes_a_schema(hint: Any, schema: Any) -> None:
    assert Schemas().of(hint) == schema


def test_a_model_becomes_a_component_by_the_name_of_its_module() -> None:
    schemas = Schemas()

    reference = schemas.of(list[telnyx.types.Queue])

    assert reference["items"] == {"$ref": "#/components/schemas/queue.Queue"}
    assert schemas.components["queue.Queue"]["properties"]["name"] == {"type": "string"}


def test_a_hint_without_a_schema_is_named() -> None:
    with pytest.raises(HintError, match="bytes"):
        Schemas().of(bytes)


def test_keys_have_their_names_on_the_wire_and_the_text_below_them() -> None:
    keys = keys_of(Cat) | keys_of(Dog)

    assert keys["tag"].wire_name == "dog.tag"
    assert keys["lives"].documentation == "How many are left. Must be between 1 and 9."
    assert [name for name, it in keys.items() if it.is_required] == ["kind"]


@pytest.mark.parametrize(
    ("sentence", "limits"),
    [
        ("The name. Must be between 1 and\n255 characters.", {"minLength": 1, "maxLength": 255}),
        ("Must be between 2 and 800. Defaults to 250", {"minimum": 2, "maximum": 800}),
        ("There is a 3,000 character limit.", {"maxLength": 3000}),
        ("Maximum 100 characters.", {"maxLength": 100}),
        ("Requires at least three characters.", {"minLength": 3}),
        ("It must be a valid Base-64 encoded string.", {"format": "byte"}),
        ("Finished at given ISO 8601 datetime", {"format": "date-time"}),
        (
            "Valid characters: 0-9, A-D, \\**, #, w (0.5s pause), W (1s pause).",
            {"format": "dtmf"},
        ),
        ("Duration in milliseconds to wait between digits.", {}),
        ("Maximum number of digits to gather.", {}),
    ],
)
def test_a_sentence_becomes_a_limit(sentence: str, limits: Any) -> None:
    assert with_limits({"type": "any"}, sentence) == {"type": "any"} | limits


def test_a_number_or_a_word_is_told_from_other_texts() -> None:
    said = "must be an integer between 1 and 100, or the special string `infinity` for ever"

    assert with_limits({"anyOf": []}, said) == {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 100},
            {"type": "string", "enum": ["infinity"]},
        ]
    }


def test_a_docstring_says_something_of_each_argument() -> None:
    said = "Does it.\n\nArgs:\n  size: How much.\n      More: of it.\n\n  name: Whose."

    texts = {name: " ".join(it.split()) for name, it in of_arguments(said).items()}
    assert texts == {"size": "How much. More: of it.", "name": "Whose."}


def test_a_method_shows_where_its_parameters_belong(recorder: Recorder) -> None:
    path, method, operation = operation_of(recorder, "queues.calls.list", Schemas())

    assert (path, method) == ("/queues/{queue_name}/calls", "get")
    assert [(it["name"], it["in"], it.get("required")) for it in operation["parameters"]] == [
        ("queue_name", "path", True),
        ("page[number]", "query", None),
        ("page[size]", "query", None),
    ]
    assert "requestBody" not in operation


def test_a_parameter_that_is_not_sent_is_named() -> None:
    class Losing(Recorder):
        def request(self, name: str, arguments: Mapping[str, Any]) -> Any:
            return super().request(name, {it: arguments[it] for it in arguments if it != "region"})

    with (
        Losing() as recorder,
        pytest.raises(UnreadableMethodError, match=r"conferences\.retrieve.*region"),
    ):
        operation_of(recorder, "conferences.retrieve", Schemas())
