"""A request from words such as `conference_id=c1 mute=true`.

A field is named by its path (`filter.types=call.enqueued`, `events[0].id=e1`). A repeated field is
named once for each of its values, in order. A value is written as its type wants it: `true`, `12`,
the word of an enum, a time such as `2026-01-31T12:00Z`, a duration such as `15s`. A message, a list
or a map may also be JSON.
"""

import difflib
import json
import re
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.client import enums

_WORD = re.compile(r"([^=\s]+)=(.*)", re.DOTALL)
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[([0-9]{1,4})\])?")
_YES, _NO = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_FLOATS = frozenset({FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT})

# Messages whose JSON is a text, so that nobody has to quote it.
_TEXTS = {
    "google.protobuf.Timestamp": "a time such as 2026-01-31T12:00:00Z",
    "google.protobuf.Duration": "a duration such as 1.5s",
    "google.protobuf.FieldMask": "paths such as a,b.c",
}


def fill(message: Message, words: Iterable[str]) -> None:
    """Set what the words say. Raises ValueError, whose text names the word's field."""
    given: set[str] = set()
    for text in words:
        found = _WORD.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not a field and its value, such as conference_id=c1")
        path, value = found[1], found[2]
        try:
            holder, field = _reached(message, path)
            if not field.is_repeated and path in given:
                raise ValueError("is given twice")
            _set(holder, field, value)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        given.add(path)


def fill_from_json(message: Message, text: str) -> None:
    """Set what a JSON object says. Raises ValueError."""
    name = message.DESCRIPTOR.name
    try:
        # Protobuf's own parser takes a list for an empty message.
        if not isinstance(json.loads(text), dict):
            raise ValueError(f"not the JSON of a {name}: it is not an object")
        json_format.Parse(text, message)
    except (json_format.ParseError, json.JSONDecodeError) as error:
        raise ValueError(f"not the JSON of a {name}: {error}") from None


def _reached(message: Message, path: str) -> tuple[Message, FieldDescriptor]:
    """Go down the path; returns the message at its last but one step, and the field in it."""
    holder = message
    *ways, last = path.split(".")
    for step in ways:
        field, index = _field(holder, step)
        if field.message_type is None or _is_map(field):
            raise ValueError(f"{field.name} has no fields")
        if not field.is_repeated:
            holder = getattr(holder, field.name)
            holder.SetInParent()
            continue
        if index is None:
            raise ValueError(f"{field.name} is a list: name one of it, as in {field.name}[0]")
        held = getattr(holder, field.name)
        if index > len(held):
            raise ValueError(f"{field.name}[{len(held)}] comes before {field.name}[{index}]")
        holder = held.add() if index == len(held) else held[index]
    field, index = _field(holder, last)
    if index is not None:
        raise ValueError(f"name {field.name} once for each of its values, without [{index}]")
    return holder, field


def _field(holder: Message, step: str) -> tuple[FieldDescriptor, int | None]:
    found = _STEP.fullmatch(step)
    if found is None:
        raise ValueError(f"{step!r} is not a field's name")
    kind: Any = holder.DESCRIPTOR
    name, index = found[1], found[2]
    field = kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)
    if field is None:
        names = [it.name for it in kind.fields]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"is it {near[0]}?" if near else f"it has {', '.join(names) or 'no fields'}"
        raise ValueError(f"{kind.name} has no field {name}; {hint}")
    if index is not None and not field.is_repeated:
        raise ValueError(f"{name} is not a list")
    return field, None if index is None else int(index)


def _set(holder: Message, field: FieldDescriptor, text: str) -> None:
    if _is_map(field) or (field.is_repeated and text.lstrip()[:1] == "["):
        _merge(holder, field, _json(text))
    elif field.message_type is not None:
        _merge(holder, field, _value_of_message(field, field.message_type, text))
    elif field.is_repeated:
        getattr(holder, field.name).append(_scalar(field, text))
    else:
        setattr(holder, field.name, _scalar(field, text))


def _merge(holder: Message, field: FieldDescriptor, value: Any) -> None:
    """Have protobuf's own JSON set a field; values of a list are added to what it has."""
    if field.is_repeated and not _is_map(field) and not isinstance(value, list):
        value = [value]
    part = type(holder)()
    try:
        json_format.ParseDict({field.name: value}, part)
    except json_format.ParseError as error:
        if field.message_type is not None and (form := _TEXTS.get(field.message_type.full_name)):
            raise ValueError(f"is not {form}") from None
        raise ValueError(str(error)) from None
    holder.MergeFrom(part)


def _value_of_message(field: FieldDescriptor, kind: Descriptor, text: str) -> Any:
    name = kind.full_name
    if name in _TEXTS:
        return text
    if not name.startswith("google.protobuf.") and text.lstrip()[:1] != "{":
        raise ValueError(
            f"is a {kind.name}: name a field of it, as in {field.name}.{kind.fields[0].name}=...,"
            " or write JSON"
        )
    return _json(text)


def _scalar(field: FieldDescriptor, text: str) -> Any:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if text.lower() not in _YES | _NO:
            raise ValueError("is not true or false")
        return text.lower() in _YES
    if field.enum_type is not None:
        value = enums.value_of(field.enum_type, text)
        if value is None:
            raise ValueError(f"is not one of {', '.join(enums.words(field.enum_type))}")
        return value.number
    if kind in _INTEGERS:
        least, most = _INTEGERS[kind]
        if not re.fullmatch(r"-?[0-9]{1,20}", text) or not least <= int(text) <= most:
            raise ValueError(f"is not a whole number between {least} and {most}")
        return int(text)
    if kind in _FLOATS:
        try:
            return float(text)
        except ValueError:
            raise ValueError("is not a number") from None
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes(text)
    return text


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ValueError("is not base64") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None


def _is_map(field: FieldDescriptor) -> bool:
    return (
        field.is_repeated
        and field.message_type is not None
        and field.message_type.GetOptions().map_entry
    )
