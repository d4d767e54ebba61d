"""RPCs, messages and enums in words: what they take, and what they give."""

from collections.abc import Iterator, Sequence

from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    MethodDescriptor,
)
from google.protobuf.descriptor_pb2 import MethodOptions

from gateway.client import enums

# How protobuf's scalar types are called, by their number.
_SCALARS = {
    getattr(FieldDescriptor, f"TYPE_{name.upper()}"): name
    for name in (
        *("double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string"),
        *("bytes", "uint32", "sfixed32", "sfixed64", "sint32", "sint64"),
    )
}


def method_line(method: MethodDescriptor) -> str:
    """Return an RPC in a line: its name, and what kind it is."""
    return f"{method.name:<24} {_kind(method)}"


def method_lines(method: MethodDescriptor) -> Iterator[str]:
    """Yield the lines about an RPC, with the fields of its request and its response."""
    yield f"{method.containing_service.full_name}/{method.name}"
    if rest := _rest(method):
        yield f"  {rest}"
    yield ""
    yield f"request {method.input_type.name}"
    yield from _fields(method.input_type)
    yield ""
    many = "responses, each a" if method.server_streaming else "response"
    yield f"{many} {method.output_type.name}"
    yield from _fields(method.output_type)


def type_lines(kind: Descriptor | EnumDescriptor) -> Iterator[str]:
    """Yield the lines about a message or an enum."""
    yield kind.full_name
    if isinstance(kind, Descriptor):
        yield from _fields(kind)
    else:
        yield from (f"  {word}" for word in enums.words(kind))


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request without this field is refused."""
    behaviours: Sequence[int] = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return field_behavior_pb2.REQUIRED in behaviours


def _kind(method: MethodDescriptor) -> str:
    if method.client_streaming or method.server_streaming:
        return "streams both ways" if method.client_streaming else "stream"
    if not _rest(method) and not method.GetOptions().idempotency_level:
        return "call"
    is_query = method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    return "query" if is_query else "command"


def _rest(method: MethodDescriptor) -> str:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return "" if verb is None else f"{verb.upper()} {getattr(rule, verb)}"


def _fields(kind: Descriptor) -> Iterator[str]:
    if not kind.fields:
        yield "  (no fields)"
    width = max((len(it.name) for it in kind.fields), default=0)
    for field in kind.fields:
        notes = [_type(field)]
        if is_required(field):
            notes.append("required")
        if (one := field.containing_oneof) is not None and not one.name.startswith("_"):
            notes.append(f"one of {one.name}")
        yield f"  {field.name:<{width}}  {', '.join(notes)}"


def _type(field: FieldDescriptor) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return f"map of {_type(key)} to {_type(value)}"
    if field.enum_type is not None:
        name = " | ".join(enums.words(field.enum_type))
    elif field.message_type is not None:
        name = field.message_type.name
    else:
        name = _SCALARS[field.type]
    return f"list of {name}" if field.is_repeated else name
