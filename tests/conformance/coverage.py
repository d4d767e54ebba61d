"""Places: everything in a request that can be set, so that none is left out of the comparison."""

from collections.abc import Mapping
from typing import Any

from tests.conformance.rpcs import F, is_timestamp
from tests.conformance.sdk_types import dictionaries_in, keys_of, texts_in


def places_in(descriptor: Any, prefix: str = "") -> set[str]:
    """Return every field of a message however deep, with each value of enums and booleans."""
    places: set[str] = set()
    for field in descriptor.fields:
        place = prefix + field.name
        if field.type == F.TYPE_BOOL:
            places |= {f"{place}=True", f"{place}=False"}
        elif field.type == F.TYPE_ENUM:
            places |= {f"{place}={value.number}" for value in field.enum_type.values[1:]}
        elif field.type == F.TYPE_MESSAGE and not is_timestamp(field):
            # An engine without settings is a place of its own.
            places |= places_in(field.message_type, f"{place}.") or {place}
        else:
            places.add(place)
    return places


def places_set(message: Any, prefix: str = "") -> set[str]:
    """Return the places that a message sets."""
    places: set[str] = set()
    for field, value in message.ListFields():
        place = prefix + field.name
        places.add(place)
        if field.type in (F.TYPE_BOOL, F.TYPE_ENUM):
            places.add(f"{place}={value}")
        elif field.type == F.TYPE_MESSAGE and not is_timestamp(field):
            places |= places_set(value, f"{place}.")
    return places


def parameters_in(hints: Mapping[str, Any], prefix: str = "") -> set[str]:
    """Return every parameter of an SDK method, those inside typed dictionaries included.

    Dictionaries of several kinds tell them apart by `type`, which becomes part of the name.
    """
    names: set[str] = set()
    for name, hint in hints.items():
        names.add(prefix + name)
        typed = dictionaries_in(hint)
        for it in typed:
            keys = keys_of(it)
            kind = f"({texts_in(keys['type'])[0]})" if len(typed) > 1 else ""
            names |= parameters_in(keys, f"{prefix}{name}{kind}.")
    return names


def parameters_given(
    arguments: Mapping[str, Any], hints: Mapping[str, Any], prefix: str = ""
) -> set[str]:
    """Return the parameters that arguments give."""
    names: set[str] = set()
    for name, value in arguments.items():
        names.add(prefix + name)
        if isinstance(value, dict):
            typed = dictionaries_in(hints[name])
            kind = f"({value['type']})" if len(typed) > 1 else ""
            # Their keys are all that is looked at: typed dictionaries here hold no further kinds.
            keys = {key: hint for it in typed for key, hint in keys_of(it).items()}
            names |= parameters_given(value, keys, f"{prefix}{name}{kind}.")
    return names
