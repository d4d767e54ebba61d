"""Numbers, times and durations of requests, read into the feed's own terms."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from conferencing.v1.common_pb2 import TimeRange
from gateway.details import FieldViolation
from gateway.journal.reading import TimeBounds

HEARTBEAT_DEFAULT_S = 15.0
HEARTBEAT_MIN_S = 1.0
HEARTBEAT_MAX_S = 300.0

# Above and below any time in the log, and within its 64-bit integers.
_MICROSECONDS_MAX = 2**61


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
