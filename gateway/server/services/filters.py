"""Filters of requests, read into the feed's own terms within bounds; all mistakes at once."""

from collections.abc import Sequence

from google.protobuf.message import Message

from gateway.details import FieldViolation
from gateway.journal.filter import VALUES_MAX, Filter
from gateway.schema.event_keys import EventKey

# How long a filter may be, encoded, in bytes: a thousand call control ids take about 100,000. A
# stream holds its filter for as long as it is open.
FILTER_BYTES_MAX = 128 * 1024

# More prefixes than this make a condition that SQLite refuses for its depth (1,000).
_PREFIXES_MAX = 100

# How many wrong values of one field are named: whoever has more makes the same mistake everywhere.
_NAMED_MAX = 10


class FilterReader:
    """Reads messages of the kind of `EventFilter`, whose fields are the declared keys."""

    def __init__(self, keys: Sequence[EventKey]) -> None:
        self._keys = keys

    def read(self, message: Message, violations: list[FieldViolation]) -> Filter:
        """Return a filter; what is wrong with it is added to `violations`.

        Sizes come first: what is too long is not looked into. Of a filter with faults nothing is
        returned but the filter that lets everything through.
        """
        size = message.ByteSize()
        faults: list[FieldViolation] = []
        if size > FILTER_BYTES_MAX:
            text = f"takes {size} bytes, at most {FILTER_BYTES_MAX} are allowed"
            faults.append(FieldViolation("filter", text))
        wanted: dict[str, Sequence[str]] = {}
        for key in self._keys:
            values = wanted[key.name] = getattr(message, key.filter_field)
            faults += _faults(key, values)
        if faults:
            violations += faults
            return Filter()
        return Filter.of(self._keys, wanted)


def _faults(key: EventKey, values: Sequence[str]) -> list[FieldViolation]:
    field = f"filter.{key.filter_field}"
    if len(values) > VALUES_MAX:
        text = f"has {len(values)} values, at most {VALUES_MAX} are allowed"
        return [FieldViolation(field, text)]
    faults = _named(field, [not value for value in values], "must not be empty")
    if key.takes_prefixes:
        text = "may have a `*` only at its end, as a prefix"
        faults += _named(field, ["*" in value[:-1] for value in values], text)
        if sum(value.endswith("*") for value in values) > _PREFIXES_MAX:
            faults.append(FieldViolation(field, f"has more than {_PREFIXES_MAX} prefixes"))
    return faults


def _named(field: str, wrong: list[bool], text: str) -> list[FieldViolation]:
    places = [index for index, it in enumerate(wrong) if it]
    return [FieldViolation(f"{field}[{place}]", text) for place in places[:_NAMED_MAX]]
