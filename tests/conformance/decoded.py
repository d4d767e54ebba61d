"""What became of a JSON document in a message, by the SDK's model of the document."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conformance.rpcs import F, is_timestamp
from tests.conformance.sdk_types import may_be_none, members, model_in, texts_in
from tests.conformance.sdk_words import field_named, number_of

_1970 = datetime(1970, 1, 1, tzinfo=UTC)


def instant(text: str) -> int:
    """Return the microseconds from 1970 to the moment that an ISO text tells."""
    return (datetime.fromisoformat(text) - _1970) // timedelta(microseconds=1)


def microseconds(timestamp: Any) -> int:
    """Return the microseconds from 1970 to the moment of a timestamp."""
    return int(timestamp.seconds * 1_000_000 + timestamp.nanos // 1_000)


def expected(descriptor: Any, document: dict[str, Any], model: Any) -> dict[str, Any]:
    """Return what must be set in a message for a document, by the names of its fields."""
    values = {}
    for name, info in model.model_fields.items():
        value = document.get(info.alias or name)
        # A field of a message must exist even for what this document leaves out.
        field = field_named(descriptor, info.alias or name)
        if value is None:
            continue
        inside = model_in(info.annotation)
        if inside is not None:
            value = expected(field.message_type, value, inside)
        elif is_timestamp(field):
            value = instant(value)
        elif field.type == F.TYPE_ENUM:
            value = number_of(field.enum_type, value)
        values[field.name] = value
    return _unless_default(descriptor, values)


def found(message: Any) -> dict[str, Any]:
    """Return what is set in a message, in the form of `expected`."""
    values: dict[str, Any] = {}
    for field, value in message.ListFields():
        if is_timestamp(field):
            values[field.name] = microseconds(value)
        elif field.is_repeated:
            values[field.name] = list(value)
        elif field.type == F.TYPE_MESSAGE:
            values[field.name] = found(value)
        else:
            values[field.name] = value
    return values


def _unless_default(descriptor: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a message cannot tell from what was not sent."""
    fields = descriptor.fields_by_name
    return {name: value for name, value in values.items() if fields[name].has_presence or value}


def places_in(model: Any, prefix: str = "") -> set[str]:
    """Return what documents of a model can hold: fields, their absence, and the values of texts."""
    places = set()
    for name, info in model.model_fields.items():
        place = f"{prefix}{info.alias or name}"
        if may_be_none(info.annotation):
            places |= {f"{place} absent", f"{place} null"}
        places |= {f"{place}={text}" for text in texts_in(info.annotation)}
        if bool in members(info.annotation):
            places |= {f"{place}=True", f"{place}=False"}
        inside = model_in(info.annotation)
        if inside is not None:
            places |= places_in(inside, f"{place}.")
        elif not texts_in(info.annotation) and bool not in members(info.annotation):
            places.add(place)
    return places


def places_served(document: dict[str, Any], model: Any, prefix: str = "") -> set[str]:
    """Return what a document holds of its model: fields, and the values of texts and booleans."""
    places = set()
    for name, info in model.model_fields.items():
        key = info.alias or name
        if key not in document:
            places.add(f"{prefix}{key} absent")
        elif document[key] is None:
            places.add(f"{prefix}{key} null")
        else:
            value, inside = document[key], model_in(info.annotation)
            places.add(f"{prefix}{key}")
            if inside is not None:
                places |= places_served(value, inside, f"{prefix}{key}.")
            elif isinstance(value, (str, bool)):
                places.add(f"{prefix}{key}={value}")
    return places
