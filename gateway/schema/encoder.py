"""Messages to JSON values: only what is set is written, under its REST name."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.details import FieldViolation
from gateway.schema.annotations import discriminator, enum_texts, is_number_or_word, rest_name
from gateway.schema.descriptors import enum_type, message_type
from gateway.schema.timestamps import format_timestamp

TIMESTAMP = "google.protobuf.Timestamp"

type_ = FieldDescriptor


class _UnsendableError(ValueError):
    """A single value cannot be written as JSON; the text says why."""


Converter = Callable[[Any, str, list[FieldViolation]], Any]


class MessageEncoder:
    """Writes messages of one type as JSON objects. Compiled once from the type's descriptor.

    Raises TypeError at construction if a field has a type that has no JSON form here.
    """

    __slots__ = ("_fields",)

    def __init__(self, descriptor: Descriptor) -> None:
        self._fields = {field.number: _FieldEncoder.compile(field) for field in descriptor.fields}

    def encode(
        self, message: Message, path: str, violations: list[FieldViolation]
    ) -> dict[str, Any]:
        """Return the JSON object of a message.

        Values that cannot be sent are left out and added to `violations`, each with its path below
        `path` (empty at the top, else ending in a dot).
        """
        result: dict[str, Any] = {}
        fields = self._fields
        for descriptor, value in message.ListFields():
            field = fields[descriptor.number]
            if field.convert is None:
                result[field.rest_name] = value
            else:
                field.write(value, path, violations, result)
        return result


@dataclass(frozen=True, slots=True)
class _FieldEncoder:
    name: str
    rest_name: str
    # The name under which a discriminated member is named; its fields go beside it.
    discriminator: str
    # None for values that JSON takes as they are.
    convert: Converter | None

    @classmethod
    def compile(cls, field: FieldDescriptor) -> "_FieldEncoder":
        convert = _scalar_converter(field)
        if field.is_repeated:
            convert = _repeated(convert)
        return cls(field.name, rest_name(field), discriminator(field.containing_oneof), convert)

    def write(
        self, value: Any, path: str, violations: list[FieldViolation], into: dict[str, Any]
    ) -> None:
        assert self.convert is not None
        here = path + self.name
        try:
            converted = self.convert(value, here, violations)
        except _UnsendableError as reason:
            violations.append(FieldViolation(here, str(reason)))
            return
        if self.discriminator:
            into[self.discriminator] = self.name
            into.update(converted)
        elif converted != {}:
            # An object with nothing in it says nothing; where the provider's contract has an
            # object at all (`voice_settings`), it forbids an empty one.
            into[self.rest_name] = converted


def _scalar_converter(field: FieldDescriptor) -> Converter | None:
    match field.type:
        case type_.TYPE_STRING if is_number_or_word(field):
            return _number_or_word
        case type_.TYPE_STRING | type_.TYPE_BOOL | type_.TYPE_INT32 | type_.TYPE_UINT32:
            return None
        case type_.TYPE_DOUBLE:
            return _finite
        case type_.TYPE_ENUM:
            return _enum(field)
        case type_.TYPE_MESSAGE if message_type(field).full_name == TIMESTAMP:
            return _timestamp
        case type_.TYPE_MESSAGE:
            return _nested(MessageEncoder(message_type(field)))
    raise TypeError(f"field {field.full_name} has a type that has no JSON form")


def _repeated(convert: Converter | None) -> Converter:
    if convert is None:
        return lambda values, path, violations: list(values)
    return lambda values, path, violations: [
        convert(value, f"{path}[{index}]", violations) for index, value in enumerate(values)
    ]


def _nested(encoder: MessageEncoder) -> Converter:
    return lambda value, path, violations: encoder.encode(value, path + ".", violations)


def _enum(field: FieldDescriptor) -> Converter:
    texts = enum_texts(enum_type(field)).by_number
    name = enum_type(field).full_name

    def convert(number: int, path: str, violations: list[FieldViolation]) -> str:
        try:
            return texts[number]
        except KeyError:
            raise _UnsendableError(f"{number} is not a value of {name}") from None

    return convert


def _finite(value: float, path: str, violations: list[FieldViolation]) -> float:
    if not math.isfinite(value):
        raise _UnsendableError("must be a finite number: JSON has no other")
    return value


def _number_or_word(value: str, path: str, violations: list[FieldViolation]) -> int | str:
    # The length keeps the number within what every JSON reader takes exactly (2**53).
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else value


def _timestamp(value: Any, path: str, violations: list[FieldViolation]) -> str:
    try:
        return format_timestamp(value)
    except ValueError:
        raise _UnsendableError("must lie in the years 1 to 9999, with nanos below 1e9") from None
