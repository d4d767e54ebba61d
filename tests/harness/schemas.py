"""What the sandbox's operations take, in the words that tests compare it in."""

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

# By name on the wire: kind, whether required, the texts allowed (none of them: all).
Shape = dict[str, tuple[str, bool, frozenset[str]]]


def event_types() -> set[str]:
    """Return the types of all events that the sandbox knows of."""
    table = resources.files("gateway.sandbox").joinpath("api.json").read_text()
    return set(json.loads(table)["webhooks"])


def shape_of_schema(schema: Mapping[str, Any]) -> Shape:
    """Return the shape of an object."""
    required = schema.get("required", ())
    return {
        name: (kind_of_schema(it), name in required, frozenset(it.get("enum", ())))
        for name, it in schema["properties"].items()
    }


def kind_of_schema(schema: Mapping[str, Any]) -> str:
    """Return a schema's type; `strings` for lists of texts, `loop` for a number or a text."""
    if "anyOf" in schema:
        assert {it["type"] for it in schema["anyOf"]} == {"integer", "string"}
        return "loop"
    if schema["type"] == "array":
        assert schema["items"] == {"type": "string"}
        return "strings"
    return str(schema["type"])


def variants_of(schema: Mapping[str, Any]) -> dict[str, Shape]:
    """Return the shapes of an object that has several, without what tells them apart, by that."""
    name = schema["discriminator"]["propertyName"]
    variants = {}
    for branch in schema["oneOf"]:
        shape = shape_of_schema(branch)
        kind, required, texts = shape.pop(name)
        assert (kind, required, len(texts)) == ("string", True, 1)
        variants[next(iter(texts))] = shape
    assert sorted(variants) == sorted(schema["properties"][name]["enum"])
    return variants
