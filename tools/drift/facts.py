"""An OpenAPI document as a list of facts, of which two documents can be told apart line by line."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# Keywords that say where other schemas are, and so become part of a place.
_STRUCTURE = frozenset(
    {"properties", "required", "items", "additionalProperties", "oneOf", "anyOf", "discriminator"}
)

# Keywords whose value is a list of texts, each of which is a fact.
_TEXTS = frozenset({"enum", "examples"})


@dataclass(frozen=True, slots=True)
class Difference:
    """The facts that only the one or only the other of two documents has, in their own order."""

    gone: tuple[str, ...]
    new: tuple[str, ...]


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """Return how two documents differ."""
    before, after = dict.fromkeys(facts(old)), dict.fromkeys(facts(new))
    return Difference(
        gone=tuple(it for it in before if it not in after),
        new=tuple(it for it in after if it not in before),
    )


def facts(document: Mapping[str, Any]) -> Iterator[str]:
    """Return what a document says of operations and webhooks; components count where used."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield from _of_operation(document, f"{method.upper()} {path}", operation)
    for event_type in document["webhooks"]:
        yield f"event {event_type}"
        yield from _of_schema(
            document, event_schema(document, event_type), f"event {event_type}: body", ()
        )


def body_schema(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an operation's body; empty if it takes none."""
    return _json_schema(operation.get("requestBody", {}))


def response_schema(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of an operation's response; empty if it has none."""
    return _json_schema(operation["responses"]["2XX"])


def event_schema(document: Mapping[str, Any], event_type: str) -> Mapping[str, Any]:
    """Return the schema of a webhook's body."""
    return _json_schema(document["webhooks"][event_type]["post"]["requestBody"])


def resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema that a reference stands for; any other as it is."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _json_schema(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = (
        holder.get("content", {}).get("application/json", {}).get("schema", {})
    )
    return schema


def _of_operation(
    document: Mapping[str, Any], request: str, operation: Mapping[str, Any]
) -> Iterator[str]:
    name = operation["operationId"]
    # What a segment of a path is called is nobody's business but the document's.
    yield f"{name}: " + re.sub(r"\{\w+\}", "{}", request)
    for it in operation.get("parameters", ()):
        if it["in"] == "query":
            place = f"{name}: query.{it['name']}"
            if it.get("required"):
                yield f"{place} is required"
            yield from _of_schema(document, it["schema"], place, ())
    yield from _of_schema(document, body_schema(operation), f"{name}: body", ())
    yield from _of_schema(document, response_schema(operation), f"{name}: response", ())


def _of_schema(
    document: Mapping[str, Any], schema: Mapping[str, Any], place: str, inside: tuple[str, ...]
) -> Iterator[str]:
    reference = schema.get("$ref", "")
    if reference in inside:
        return  # a model that holds itself
    inside = (*inside, reference) if reference else inside
    schema = resolved(document, schema)
    for keyword, value in schema.items():
        if keyword in _TEXTS:
            yield from (f"{place} may be {json.dumps(it, ensure_ascii=False)}" for it in value)
        elif keyword not in _STRUCTURE:
            yield f"{place} {keyword} {json.dumps(value)}"
    yield from (f"{place}.{it} is required" for it in schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        yield from _of_schema(document, inner, f"{place}.{name}", inside)
    for keyword, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if keyword in schema:
            yield from _of_schema(document, schema[keyword], place + mark, inside)
    tag = schema.get("discriminator", {}).get("propertyName")
    for inner in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        inner = resolved(document, inner)  # noqa: PLW2901
        kind = inner["properties"][tag]["enum"][0] if tag else inner.get("type", "any")
        yield from _of_schema(document, inner, f"{place}({kind})", inside)
