"""Any JSON object as a `google.protobuf.Struct` that every client can read.

A Struct holds no numbers but doubles, its JSON form has neither infinity nor NaN, and readers of
protobuf stop at 100 messages within each other. What does not fit is shown otherwise, and noted.
"""

from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from conferencing.v1.event_pb2 import (
    EVENT_NOTE_REASON_NUMBER_AS_TEXT,
    EVENT_NOTE_REASON_TOO_DEEP,
)
from gateway.ingest.webhooks.notes import Notes
from gateway.schema.lenient_json import NumberText

# Messages within each other: C++, Java and Python read 100 below the outermost. The rest is left to
# clients that pass events on in a message of their own.
_MESSAGES_MAX = 95

# Where a member of an unknown event stands: response > event > struct > entry > value.
_TOP_VALUE = 4

# What an object, and what a list, puts between a value and those inside: struct > entry > value,
# and list > value.
_OBJECT_MESSAGES = 3
_LIST_MESSAGES = 2

# Beyond this, doubles leave out integers (IEEE 754).
_EXACT_MAX = 2**53


def struct_of(document: dict[str, Any], path: str, notes: Notes) -> Struct:
    """Return an object as a Struct; `path` is where it stands in the body."""
    struct = Struct()
    for name, value in document.items():
        _fill(struct.fields[name], value, f"{path}.{name}", _TOP_VALUE, notes)
    return struct


def _fill(into: Value, value: Any, path: str, depth: int, notes: Notes) -> None:
    if value is None:
        into.null_value = 0  # type: ignore[assignment]
    elif type(value) is str:
        into.string_value = value
    elif type(value) is bool:
        into.bool_value = value
    elif type(value) is dict:
        if depth + _OBJECT_MESSAGES > _MESSAGES_MAX:
            _leave_out(into, path, notes)
            return
        into.struct_value.SetInParent()
        fields = into.struct_value.fields
        for name, inner in value.items():
            _fill(fields[name], inner, f"{path}.{name}", depth + _OBJECT_MESSAGES, notes)
    elif type(value) is list:
        if depth + _LIST_MESSAGES > _MESSAGES_MAX:
            _leave_out(into, path, notes)
            return
        into.list_value.SetInParent()
        add = into.list_value.values.add
        for index, inner in enumerate(value):
            _fill(add(), inner, f"{path}[{index}]", depth + _LIST_MESSAGES, notes)
    elif type(value) is NumberText or (type(value) is int and abs(value) > _EXACT_MAX):
        notes.add(path, EVENT_NOTE_REASON_NUMBER_AS_TEXT)
        into.string_value = str(value)
    else:
        into.number_value = float(value)


def _leave_out(into: Value, path: str, notes: Notes) -> None:
    notes.add(path, EVENT_NOTE_REASON_TOO_DEEP)
    into.null_value = 0  # type: ignore[assignment]
