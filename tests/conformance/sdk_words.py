"""The SDK's words for what the protos name: found by likeness, not by the protos' own options.

Were the words taken from the options of `rest.proto`, a wrong option would go out twice and look
right. So a field and an enum value are matched with what the SDK's types have.
"""

import re
from collections.abc import Collection
from typing import Any

# The only fields whose names are not the SDK's. The first word is reserved in generated languages;
# the second name has a dot in it on the wire, which the SDK writes as an underscore.
RENAMED = {
    "caller": "from",
    "outbound_voice_profile_id": "outbound_outbound_voice_profile_id",
}


def sdk_name(field: Any, names: Collection[str]) -> str:
    """Return which of the SDK's names a field of a proto has there."""
    name: str = RENAMED.get(field.name, field.name)
    if name == "conference_id" and name not in names:
        name = "id"  # most of the SDK's methods on a conference call it so
    assert name in names, f"{field.full_name} is none of {sorted(names)}"
    return name


def field_named(descriptor: Any, name: str) -> Any:
    """Return the field of a message that has a name of the SDK."""
    (field,) = [it for it in descriptor.fields if RENAMED.get(it.name, it.name) == name]
    return field


def text_of(enum: Any, number: int, texts: Collection[str]) -> str:
    """Return which of the SDK's texts stands for an enum's value."""
    (text,) = [it for it in texts if _bare(it) == _bare(_suffix(enum, number))]
    return text


def number_of(enum: Any, text: str) -> int:
    """Return the value of an enum that stands for a text, zero if none does."""
    alike = [it.number for it in enum.values[1:] if _bare(_suffix(enum, it.number)) == _bare(text)]
    return alike[0] if alike else 0


def _suffix(enum: Any, number: int) -> str:
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    # No name may begin with a digit, and what is one without its prefix says what it counts.
    bare = str(enum.values_by_number[number].name.removeprefix(prefix))
    return bare.removeprefix("HZ_")


def _bare(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
