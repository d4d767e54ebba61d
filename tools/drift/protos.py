"""What the protos lack of what a document has: operations, fields, texts of enums, events.

Only that: what the protos have beside it, and which fields they require, is tested elsewhere.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor, ServiceDescriptor

from conferencing.v1.common_pb2 import CommandReceipt
from conferencing.v1.event_pb2 import Event
from gateway.schema.annotations import discriminator, enum_texts, rest_name
from gateway.schema.binding import Binding, compile_services
from gateway.schema.descriptors import enum_type, fields_of, message_type
from gateway.schema.event_types import payload_fields
from tools.drift.facts import body_schema, event_schema, resolved, response_schema

# Back-fill reads these; nobody calls them over gRPC.
_NO_RPCS = "webhook_deliveries."

# The only parameters of queries that have other names in requests.
_PAGES = {"page[number]": "page_token", "page[size]": "page_size"}

# The fields of responses that do not hold the provider's result.
_BESIDE = frozenset({"receipt", "next_page_token", "total_size", "unreadable"})


@dataclass(frozen=True, slots=True)
class _Request:
    """A method and a path whose placeholders have no names."""

    method: str
    path: str

    @classmethod
    def of(cls, method: str, path: str) -> "_Request":
        return cls(method.upper(), re.sub(r"\{\w+\}", "{}", path))


def lacking(document: Mapping[str, Any], services: Iterable[ServiceDescriptor]) -> Iterator[str]:
    """Return what the requests, responses and events lack, a line for each."""
    bindings = {
        _Request.of(it.http_method, it.path.template): it for it in compile_services(services)
    }
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = operation["operationId"]
            if name.startswith(_NO_RPCS):
                continue
            binding = bindings.get(_Request.of(method, path))
            if binding is None:
                yield f"{name}: {method.upper()} {path} has no RPC"
                continue
            yield from _of_request(document, operation, binding)
            yield from _of_response(document, operation, binding)
    for event_type in document["webhooks"]:
        yield from _of_event(document, event_type)


def _of_request(
    document: Mapping[str, Any], operation: Mapping[str, Any], binding: Binding
) -> Iterator[str]:
    name = operation["operationId"]
    request = cast("Descriptor", binding.request_class.DESCRIPTOR)
    for it in operation.get("parameters", ()):
        if it["in"] == "query":
            wire_name = it["name"]
            names = (
                [_PAGES[wire_name]] if wire_name in _PAGES else re.findall(r"[^\[\]]+", wire_name)
            )
            schema = {} if wire_name in _PAGES else it["schema"]
            for part in reversed(names[1:]):
                schema = {"properties": {part: schema}}
            yield from _of_property(document, names[0], schema, request, f"{name}: query")
    yield from _of_object(document, body_schema(operation), request, f"{name}: body")


def _of_response(
    document: Mapping[str, Any], operation: Mapping[str, Any], binding: Binding
) -> Iterator[str]:
    result = resolved(document, response_schema(operation)).get("properties", {}).get("data")
    if result is None:
        return
    resources = [it for it in fields_of(binding.response_class) if it.name not in _BESIDE]
    receipt = CommandReceipt.DESCRIPTOR
    holder = message_type(resources[0]) if resources else receipt
    place = f"{operation['operationId']}: response.data"
    yield from _of_object(document, result, holder, place)


def _of_event(document: Mapping[str, Any], event_type: str) -> Iterator[str]:
    field = payload_fields().get(event_type)
    if field is None:
        yield f"event {event_type} has no payload in {Event.DESCRIPTOR.name}"
        return
    schema = resolved(document, event_schema(document, event_type))
    data = resolved(document, schema["properties"]["data"])
    payload = data["properties"]["payload"]
    yield from _of_object(
        document, payload, message_type(field), f"event {event_type}: body.data.payload"
    )


def _of_object(
    document: Mapping[str, Any], schema: Mapping[str, Any], message: Descriptor, place: str
) -> Iterator[str]:
    schema = resolved(document, schema)
    if schema.get("type") == "array":
        schema = resolved(document, schema["items"])
    tag = schema.get("discriminator", {}).get("propertyName")
    if tag:
        yield from _of_variants(document, schema, tag, message, place)
        return
    for name, inner in schema.get("properties", {}).items():
        yield from _of_property(document, name, inner, message, place)


def _of_variants(
    document: Mapping[str, Any],
    schema: Mapping[str, Any],
    tag: str,
    message: Descriptor,
    place: str,
) -> Iterator[str]:
    members = {
        rest_name(field): message_type(field)
        for oneof in message.oneofs
        if discriminator(oneof) == tag
        for field in oneof.fields
    }
    for branch in (resolved(document, it) for it in schema["oneOf"]):
        properties = dict(branch["properties"])
        (kind,) = properties.pop(tag)["enum"]
        if kind not in members:
            yield f"{place}.{tag} {kind!r} has no message in {message.name}"
            continue
        for name, inner in properties.items():
            yield from _of_property(document, name, inner, members[kind], f"{place}({kind})")


def _of_property(
    document: Mapping[str, Any],
    name: str,
    schema: Mapping[str, Any],
    message: Descriptor,
    place: str,
) -> Iterator[str]:
    field = next((it for it in message.fields if rest_name(it) == name), None)
    if field is None:
        yield f"{place}.{name} has no field in {message.name}"
        return
    schema = resolved(document, schema)
    if field.type == FieldDescriptor.TYPE_ENUM:
        known = enum_texts(enum_type(field)).by_text
        for text in (*schema.get("enum", ()), *schema.get("examples", ())):
            if text not in known:
                yield f"{place}.{name} {text!r} has no value in {enum_type(field).name}"
    elif field.type == FieldDescriptor.TYPE_MESSAGE and _has_fields(document, schema):
        yield from _of_object(document, schema, message_type(field), f"{place}.{name}")


def _has_fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    items = resolved(document, schema.get("items", {}))
    return "properties" in schema or "properties" in items
