"""Messages as the SDK's arguments: the same values, in the form that its types want."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conformance.rpcs import F, is_timestamp
from tests.conformance.sdk_calls import parameters_of
from tests.conformance.sdk_types import dictionaries_in, keys_of, members, texts_in
from tests.conformance.sdk_words import sdk_name, text_of


def arguments_of(rpc: str, request: Any) -> dict[str, Any]:
    """Return what the SDK's method is to be called with for a request."""
    return _values_of(request, parameters_of(rpc))


def _values_of(message: Any, hints: dict[str, Any]) -> dict[str, Any]:
    values = {}
    for field, value in message.ListFields():
        if field.name == "page_token":
            continue  # the SDK goes by page numbers
        name = sdk_name(field, hints)
        one = _list if field.is_repeated else _value
        values[name] = one(field, value, hints[name])
    return values


def _list(field: Any, values: Any, hint: Any) -> list[str]:
    assert field.type == F.TYPE_STRING, "the SDK's lists are of texts"
    return list(values)


def _value(field: Any, value: Any, hint: Any) -> Any:
    if field.type == F.TYPE_ENUM:
        return text_of(field.enum_type, value, texts_in(hint))
    if is_timestamp(field):
        return _moment(value)
    if field.type == F.TYPE_MESSAGE:
        return _dictionary(value, dictionaries_in(hint))
    if {int, str} <= set(members(hint)) and value.isdecimal():
        return int(value)
    return value


def _dictionary(message: Any, typed: list[Any]) -> dict[str, Any]:
    oneofs = message.DESCRIPTOR.oneofs_by_name
    if "engine" not in oneofs:
        (only,) = typed
        return _values_of(message, keys_of(only))
    # Each of the dictionaries says in `type` whose settings it holds.
    chosen = message.WhichOneof("engine")
    by_type = {texts_in(keys_of(it)["type"])[0]: it for it in typed}
    inner = _values_of(getattr(message, chosen), keys_of(by_type[chosen]))
    return {"type": chosen, **inner}


def _moment(timestamp: Any) -> str:
    """Write a timestamp as RFC 3339 in UTC, with no, 3, 6 or 9 digits for the fraction.

    The SDK takes any text; these are the digits that protobuf's JSON mapping prescribes.
    """
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=timestamp.seconds)
    digits = f"{timestamp.nanos:09}"
    while digits.endswith("000"):
        digits = digits.removesuffix("000")
    fraction = f".{digits}" if digits else ""
    return moment.replace(tzinfo=None).isoformat() + fraction + "Z"
