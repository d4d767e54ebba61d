"""JSON values to messages: what is known is read, what is unknown is ignored.

Unknown fields and unknown enum texts never fail: the provider may add to its responses at any time.
A value of another JSON type is read where it can mean one thing only (a number for a text, `"7"`
for 7, `"true"` for true). Any other is a mismatch: it fails the reading, or, if the caller wants
what can be read, leaves its field unset and is reported.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from gateway.schema.annotations import discriminator, enum_texts, rest_name
from gateway.schema.descriptors import enum_type, fields_of, message_class_of, message_type
from gateway.schema.encoder import TIMESTAMP
from gateway.schema.lenient_json import NumberText, WrittenFloat
from gateway.schema.timestamps import parse_timestamp

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

    `path` is the field's path in the JSON document, `expected` the type that was expected there.
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

    def decode_leniently(self, document: Any, path: str, problems: list[MismatchError]) -> M | None:
        """Return the message with what can be read, None if the document is no object.

        What cannot be read is left out and added to `problems`, each with its path below `path`.
        A text with half of a surrogate pair has U+FFFD in its place, and is a problem all the
        same. Several times slower than `decode`: meant for what that has refused.
        """
        if type(document) is not dict:
            problems.append(MismatchError("an object", path))
            return None
        values: dict[str, Any] = {}
        for key, value in document.items():
            field = self._fields.get(key)
            if field is None or value is None:
                continue
            read = field.read(value, f"{path}.{key}", problems)
            if read is not None:
                values[field.name] = read
        return self._class(**values)


# Reads a value that is somewhere in a document, and adds what it cannot read to the problems.
Reader = Callable[[Any, str, list[MismatchError]], Any]


@dataclass(frozen=True, slots=True)
class _FieldDecoder:
    name: str
    convert: Converter
    read: Reader

    @classmethod
    def compile(cls, field: FieldDescriptor) -> "_FieldDecoder":
        convert, read = _conversion(field)
        if field.is_repeated:
            convert, read = _repeated(convert), _repeated_leniently(read)
        return cls(field.name, convert, read)


def _conversion(field: FieldDescriptor) -> tuple[Converter, Reader]:
    if field.type == type_.TYPE_MESSAGE and message_type(field).full_name != TIMESTAMP:
        decoder = MessageDecoder(message_class_of(field))
        return decoder.decode, decoder.decode_leniently
    convert = _converter(field)
    return convert, _leniently(convert)


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
        case type_.TYPE_MESSAGE:
            return _timestamp
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


def _leniently(convert: Converter) -> Reader:
    def read(value: Any, path: str, problems: list[MismatchError]) -> Any:
        try:
            converted = convert(value)
        except MismatchError as mismatch:
            problems.append(MismatchError(mismatch.expected, path))
            return None
        if type(converted) is str and not _is_unicode(converted):
            problems.append(MismatchError("a string without lone surrogates", path))
            return converted.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return converted

    return read


def _repeated_leniently(read_one: Reader) -> Reader:
    def read(values: Any, path: str, problems: list[MismatchError]) -> list[Any] | None:
        if type(values) is not list:
            problems.append(MismatchError("an array", path))
            return None
        items = (read_one(it, f"{path}[{index}]", problems) for index, it in enumerate(values))
        return [item for item in items if item is not None]

    return read


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# Numbers whose text is what was written.
_WRITTEN = frozenset({int, NumberText, WrittenFloat})


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) in _WRITTEN:
        return str(value)
    # A float beyond 2**53 stands for a number whose digits the JSON reader has not kept.
    if type(value) is float and abs(value) < 2**53:
        return str(value)
    raise MismatchError("a string")


_TRUTHS = {"true": True, "false": False, 1: True, 0: False}


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    key = value.lower() if type(value) is str else value
    if type(key) in (str, int) and key in _TRUTHS:
        return _TRUTHS[key]
    raise MismatchError("true or false")


def _number(value: Any) -> float:
    if type(value) in (float, int, WrittenFloat):
        with suppress(OverflowError):
            number = float(value)
            if math.isfinite(number):
                return number
    raise MismatchError("a number")


def whole_number(value: Any) -> int | None:
    """Return the whole number that a JSON value is, as a number or in digits; None if it is none.

    It is not negative, as counts are.
    """
    number = _whole(value)
    return number if number is not None and number >= 0 else None


def _whole(value: Any) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is str:
        digits = value.removeprefix("-")
        # Twenty digits are more than any of the types holds.
        if digits.isascii() and digits.isdigit() and len(digits) <= 20:
            return int(value)
    return None


def _integer(lowest: int, highest: int) -> Converter:
    def read(value: Any) -> int:
        number = value if type(value) is int else _whole(value)
        if number is not None and lowest <= number <= highest:
            return number
        raise MismatchError(f"a whole number from {lowest} to {highest}")

    return read


def _enum(by_text: Any) -> Converter:
    def read(value: Any) -> int:
        if type(value) is str:
            return int(by_text.get(value, 0))
        raise MismatchError("a string")

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
