"""A message as a person would want to read it: a line for each value, indented by its place."""

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from gateway.client import enums
from gateway.client.event_text import shown

_INDENT = "  "

# Messages whose JSON is one value.
_VALUES = "google.protobuf."


def lines_of(message: Message, depth: int = 0) -> Iterator[str]:
    """Yield the lines of what is set; a message without anything has none."""
    margin = _INDENT * depth
    for field, value in message.ListFields():
        if not field.is_repeated:
            yield from _entry(f"{margin}{field.name}:", field, value, depth)
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield f"{margin}{field.name}:"
            values = field.message_type.fields_by_name["value"]
            for key in sorted(value):
                yield from _entry(f"{margin}{_INDENT}{key}:", values, value[key], depth + 1)
        else:
            yield f"{margin}{field.name}:"
            for item in value:
                yield from _entry(f"{margin}{_INDENT}-", field, item, depth + 1)


def _entry(name: str, field: FieldDescriptor, value: Any, depth: int) -> Iterator[str]:
    if field.message_type is None or field.message_type.full_name.startswith(_VALUES):
        yield f"{name} {text_of(field, value)}"
        return
    yield name
    yield from lines_of(value, depth + 1)


def text_of(field: FieldDescriptor, value: Any) -> str:
    """Return the text of a field's value, or of one of its values; of a message, its JSON."""
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return str(value) if known is None else enums.word(known)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        value = b64encode(value).decode()
    elif isinstance(value, Message):
        written = MessageToDict(value)
        value = written if isinstance(written, str) else json.dumps(written, ensure_ascii=False)
    return shown(str(value))
