"""JSON values to messages: what is known is read, what is unknown is passed over.

Unknown fields and unknown enum texts never fail: the provider may add to its answers at any time.
A known field with a value of the wrong JSON type does fail, because leaving it out would say that
the provider had not sent it; a number for a text or a text for a number is read as what it means.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.codec.annotations import discriminator, enum_texts, rest_name
from gateway.codec.descriptors import enum_type, fields_of, message_class_of, message_type
from gateway.codec.encoder import TIMESTAMP
from gateway.codec.timestamps import parse_timestamp

type_ = FieldDescriptor

# Bounds of the integer types that the protos use, inclusive.
_INTEGERS = {
    type_.TYPE_INT32: (-(2**31), 2**31 - 1),
    type_.TYPE_INT64: (-(2**63), 2**63 - 1),
    type_.TYPE_UINT32: (0, 2**32 - 1),
    type_.TYPE_UINT64: (0, 2**64 - 1),
}

Converter = Callable[[Any], Any]


class MismatchError(ValueError):
    """A known field holds a value that its type cannot.

    `path` is the field's place in the JSON document, `expected` the type that was expected there.
    The value itself is not kept: it may be anybody's data.
    """

    def __init__(self, expected: str, path: str = "") -> None:
        super().__init__(expected, path)
        self.expected = expected
        self.path = path

    def __str__(self) -> str:
        return f"{self.path or 'the document'} is not {self.expected}"

    def below(self, segment: str) -> "MismatchError":
        """Return the same mismatch seen from one level further up."""
        separator = "." if self.path and not self.path.startswith("[") else ""
        return MismatchError(self.expected, segment + separator + self.path)


M = TypeVar("M", bound=Message)


class MessageDecoder(Generic[M]):
    """Reads JSON objects as messages of one type. Compiled once from the type's descriptor.

    Raises TypeError at construction if a field has a type that has no JSON form here.
    """

    __slots__ = ("_class", "_fields")

    def __init__(self, message_class: type[M]) -> None:
        self._class = message_class
        self._fields = {
            rest_name(field): _FieldDecoder.compile(field)
            for field in fields_of(message_class)
            if not discriminator(field.containing_oneof)
        }

    def decode(self, document: Any) -> M:
        """Return the message that a JSON object stands for. Raises MismatchError."""
        if type(document) is not dict:
            raise MismatchError("an object")
        values: dict[str, Any] = {}
        fields = self._fields
        for key, value in document.items():
            field = fields.get(key)
            if field is None or value is None:
                continue
            try:
                values[field.name] = field.convert(value)
            except MismatchError as mismatch:
                raise mismatch.below(key) from None
        return self._class(**values)


@dataclass(frozen=True, slots=True)
class _FieldDecoder:
    name: str
    convert: Converter

    @classmethod
    def compile(cls, field: FieldDescriptor) -> "_FieldDecoder":
        convert = _converter(field)
        return cls(field.name, _repeated(convert) if field.is_repeated else convert)


def _converter(field: FieldDescriptor) -> Converter:
    match field.type:
        case type_.TYPE_STRING:
            return _text
        case type_.TYPE_BOOL:
            return _truth
        case type_.TYPE_DOUBLE:
            return _number
        case type_.TYPE_ENUM:
            return _enum(enum_texts(enum_type(field)).by_text)
        case type_.TYPE_MESSAGE if message_type(field).full_name == TIMESTAMP:
            return _timestamp
        case type_.TYPE_MESSAGE:
            return MessageDecoder(message_class_of(field)).decode
        case kind if kind in _INTEGERS:
            return _integer(*_INTEGERS[kind])
    raise TypeError(f"field {field.full_name} has a type that has no JSON form")


def _repeated(convert: Converter) -> Converter:
    def read(values: Any) -> list[Any]:
        if type(values) is not list:
            raise MismatchError("an array")
        result = []
        for index, value in enumerate(values):
            try:
                result.append(convert(value))
            except MismatchError as mismatch:
                raise mismatch.below(f"[{index}]") from None
        return result

    return read


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) in (int, float):
        return str(value)
    raise MismatchError("a text")


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise MismatchError("true or false")


def _number(value: Any) -> float:
    if type(value) in (float, int):
        return float(value)
    raise MismatchError("a number")


def _integer(lowest: int, highest: int) -> Converter:
    def read(value: Any) -> int:
        number = value
        if type(value) is str:
            digits = value.removeprefix("-")
            # Twenty digits are more than any of the types holds.
            short = digits.isascii() and digits.isdigit() and len(digits) <= 20
            number = int(value) if short else None
        elif type(value) is float and value.is_integer():
            number = int(value)
        if type(number) is int and lowest <= number <= highest:
            return number
        raise MismatchError(f"a whole number from {lowest} to {highest}")

    return read


def _enum(by_text: Any) -> Converter:
    def read(value: Any) -> int:
        if type(value) is str:
            return int(by_text.get(value, 0))
        raise MismatchError("a text")

    return read


def _timestamp(value: Any) -> Any:
    if value == "":
        return None
    if type(value) is str:
        try:
            return parse_timestamp(value)
        except ValueError:
            pass
    raise MismatchError("an RFC 3339 timestamp")
