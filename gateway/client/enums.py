"""Values of enums as people write and read them: without the enum's prefix, in lower case."""

import re

from google.protobuf.descriptor import EnumDescriptor, EnumValueDescriptor

_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def word(value: EnumValueDescriptor) -> str:
    """Return a value's word: `from_start` for `PLAYBACK_POSITION_FROM_START`."""
    return value.name.removeprefix(_prefix(value.type)).lower()


def words(kind: EnumDescriptor) -> list[str]:
    """Return the words of all values that say something."""
    return [word(it) for it in kind.values if it.number or not it.name.endswith("_UNSPECIFIED")]


def value_of(kind: EnumDescriptor, text: str) -> EnumValueDescriptor | None:
    """Return the value with this word, full name or number; None if there is none."""
    wanted = text.lower().replace("-", "_")
    for value in kind.values:
        if wanted in (word(value), value.name.lower(), str(value.number)):
            return value
    return None


def _prefix(kind: EnumDescriptor) -> str:
    return _WORD_BORDER.sub("_", kind.name).upper() + "_"
