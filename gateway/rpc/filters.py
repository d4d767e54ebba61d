"""Filters of requests, read into the feed's own terms within bounds; all mistakes at once."""

from conferencing.v1.event_service_pb2 import EventFilter
from gateway.errors import FieldViolation
from gateway.events.filter import VALUES_MAX, Filter

# How long a filter may be, encoded, in bytes: a thousand call control ids take about 100,000. A
# stream holds its filter for as long as it is open.
FILTER_BYTES_MAX = 128 * 1024

# More prefixes than this make a condition that SQLite refuses for its depth (1,000).
_PREFIXES_MAX = 100

# How many wrong values of one field are named: whoever has more makes the same mistake everywhere.
_NAMED_MAX = 10

_VALUE_FIELDS = (
    "types",
    "conference_ids",
    "queue_names",
    "call_control_ids",
    "call_session_ids",
    "connection_ids",
)


def read_filter(message: EventFilter, violations: list[FieldViolation]) -> Filter:
    """Return a filter; what is wrong with it is added to `violations`.

    Sizes come first: what is too long is not looked into. Of a filter with faults nothing is
    returned but the filter that lets everything through.
    """
    found = _faults(message)
    if found:
        violations += found
        return Filter()
    prefixes = tuple({value[:-1]: None for value in message.types if value.endswith("*")})
    # The prefix of everything would make the other values of the field pointless.
    every_type = "" in prefixes
    return Filter(
        types=frozenset()
        if every_type
        else frozenset(value for value in message.types if not value.endswith("*")),
        type_prefixes=() if every_type else prefixes,
        conference_id=frozenset(message.conference_ids),
        queue_name=frozenset(message.queue_names),
        call_control_id=frozenset(message.call_control_ids),
        call_session_id=frozenset(message.call_session_ids),
        connection_id=frozenset(message.connection_ids),
    )


def _faults(message: EventFilter) -> list[FieldViolation]:
    size = message.ByteSize()
    faults: list[FieldViolation] = []
    if size > FILTER_BYTES_MAX:
        text = f"takes {size} bytes, at most {FILTER_BYTES_MAX} are allowed"
        faults.append(FieldViolation("filter", text))
    for name in _VALUE_FIELDS:
        values = getattr(message, name)
        if len(values) > VALUES_MAX:
            text = f"has {len(values)} values, at most {VALUES_MAX} are allowed"
            faults.append(FieldViolation(f"filter.{name}", text))
            continue
        faults += _named(name, [not value for value in values], "must not be empty")
        if name == "types":
            text = "may have a star only at its end, for a prefix"
            faults += _named(name, ["*" in value[:-1] for value in values], text)
            if sum(value.endswith("*") for value in values) > _PREFIXES_MAX:
                text = f"has more than {_PREFIXES_MAX} prefixes"
                faults.append(FieldViolation("filter.types", text))
    return faults


def _named(name: str, wrong: list[bool], text: str) -> list[FieldViolation]:
    places = [index for index, it in enumerate(wrong) if it]
    return [FieldViolation(f"filter.{name}[{place}]", text) for place in places[:_NAMED_MAX]]
