"""Requests of the event service, read into the feed's own terms; all mistakes at once."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.common_pb2 import TimeRange
from conferencing.v1.event_service_pb2 import EventFilter
from gateway.errors import FieldViolation
from gateway.events.filter import VALUES_MAX, Filter
from gateway.events.log import TimeBounds

HEARTBEAT_DEFAULT_S = 15.0
HEARTBEAT_MIN_S = 1.0
HEARTBEAT_MAX_S = 300.0

# More prefixes than this make a condition that SQLite refuses for its depth (1,000).
_PREFIXES_MAX = 100

# Above and below any time in the log, and within its 64-bit integers.
_MICROSECONDS_MAX = 2**61

_VALUE_FIELDS = (
    "types",
    "conference_ids",
    "queue_names",
    "call_control_ids",
    "call_session_ids",
    "connection_ids",
)


def read_filter(message: EventFilter, violations: list[FieldViolation]) -> Filter:
    """Return a filter; what is wrong with it is added to `violations`."""
    for name in _VALUE_FIELDS:
        values = getattr(message, name)
        if len(values) > VALUES_MAX:
            text = f"has {len(values)} values, at most {VALUES_MAX} are allowed"
            violations.append(FieldViolation(f"filter.{name}", text))
        for index, value in enumerate(values):
            if not value:
                violations.append(FieldViolation(f"filter.{name}[{index}]", "must not be empty"))
    for index, value in enumerate(message.types):
        if "*" in value[:-1]:
            text = "may have a star only at its end, for a prefix"
            violations.append(FieldViolation(f"filter.types[{index}]", text))
    if sum(value.endswith("*") for value in message.types) > _PREFIXES_MAX:
        text = f"has more than {_PREFIXES_MAX} prefixes"
        violations.append(FieldViolation("filter.types", text))
    prefixes = tuple(value[:-1] for value in message.types if value.endswith("*"))
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


def read_heartbeat(interval: Duration | None) -> float:
    """Return the seconds between heartbeats, None meaning the default."""
    if interval is None:
        return HEARTBEAT_DEFAULT_S
    seconds = interval.seconds + interval.nanos / 1e9
    return min(max(seconds, HEARTBEAT_MIN_S), HEARTBEAT_MAX_S)


def read_page_size(size: int, violations: list[FieldViolation]) -> int:
    """Return how many events a page of ListEvents has at the most."""
    if size < 0:
        violations.append(FieldViolation("page_size", "must not be negative"))
    return min(size, 1_000) if size > 0 else 100


def read_times(times: TimeRange) -> TimeBounds:
    """Return the bounds that all of a time range's conditions leave."""
    since, until = [0], [2**62]
    if times.HasField("eq"):
        since.append(microseconds(times.eq))
        until.append(microseconds(times.eq) + 1)
    if times.HasField("gt"):
        since.append(microseconds(times.gt) + 1)
    if times.HasField("gte"):
        since.append(microseconds(times.gte))
    if times.HasField("lt"):
        until.append(microseconds(times.lt))
    if times.HasField("lte"):
        until.append(microseconds(times.lte) + 1)
    return TimeBounds(max(since), min(until))


def microseconds(moment: Timestamp) -> int:
    """Return a timestamp in microseconds since 1970, the log's unit."""
    # What lies beyond the log's range lies beyond all of its events.
    return max(-_MICROSECONDS_MAX, min(moment.seconds * 1_000_000, _MICROSECONDS_MAX)) + (
        moment.nanos // 1_000
    )
