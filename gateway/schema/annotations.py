"""What the protos say about JSON: names, enum texts, discriminators (options of `rest.proto`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor, OneofDescriptor

from conferencing.v1 import rest_pb2

_WORD_START = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class EnumTexts:
    """The two directions of an enum's JSON texts. Zero has no text: it means "not sent"."""

    by_number: Mapping[int, str]
    by_text: Mapping[str, int]


def rest_name(field: FieldDescriptor) -> str:
    """Return the name of a field in JSON and in query strings."""
    options = field.GetOptions()
    name = options.Extensions[rest_pb2.rest_name]
    return name or field.name


def is_number_or_word(field: FieldDescriptor) -> bool:
    """Tell whether a string field is written as a number when it consists of digits."""
    return bool(field.GetOptions().Extensions[rest_pb2.number_or_word])


def discriminator(oneof: OneofDescriptor | None) -> str:
    """Return the JSON name that tells a oneof's members apart, empty if it is an ordinary oneof."""
    if oneof is None:
        return ""
    return str(oneof.GetOptions().Extensions[rest_pb2.discriminator])


def enum_texts(enum: EnumDescriptor) -> EnumTexts:
    """Return the texts that stand for an enum's values in JSON.

    The text is the `rest_text` option, else the value's name in lower case without the enum's
    prefix (`RECORDING_CHANNELS_DUAL` is `dual`).
    """
    prefix = _WORD_START.sub("_", enum.name).upper() + "_"
    by_number: dict[int, str] = {}
    for value in enum.values:
        if value.number == 0:
            continue
        text = value.GetOptions().Extensions[rest_pb2.rest_text]
        by_number[value.number] = text or value.name.removeprefix(prefix).lower()
    return EnumTexts(by_number, {text: number for number, text in by_number.items()})
