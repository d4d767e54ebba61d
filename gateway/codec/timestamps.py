"""RFC 3339 texts and protobuf timestamps, to the nanosecond."""

import re
from datetime import UTC, datetime, timedelta, timezone

from google.protobuf.timestamp_pb2 import Timestamp

# The provider writes RFC 3339; a blank for the T, a missing zone (UTC is meant) and more digits
# than nanoseconds have been seen in the wild and cost nothing to read.
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?",
    re.ASCII,
)


_DAY_S = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# In seconds since 1970, by the definition of google.protobuf.Timestamp.
_YEARS_1_TO_9999 = (-62_135_596_800, 253_402_300_799)

# The lengths of what the provider writes nearly always: UTC, to the second, millisecond or
# microsecond. The standard library reads those ten times faster than the pattern above.
_COMMON_LENGTHS = frozenset({20, 24, 27})


def parse_timestamp(text: str) -> Timestamp:
    """Read an RFC 3339 text. Raises ValueError for anything else."""
    if len(text) in _COMMON_LENGTHS and text[-1] == "Z" and text[10] == "T":
        since = datetime.fromisoformat(text) - _EPOCH
        return Timestamp(
            seconds=since.days * _DAY_S + since.seconds, nanos=since.microseconds * 1_000
        )
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 timestamp")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=_zone(zone)
    )
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    since = moment - _EPOCH
    seconds = since.days * _DAY_S + since.seconds
    if not _YEARS_1_TO_9999[0] <= seconds <= _YEARS_1_TO_9999[1]:
        # A zone can move the last hours of 9999 beyond what a Timestamp may hold: readers that turn
        # it into JSON fail for the whole message.
        raise ValueError("not in the years 1 to 9999")
    return Timestamp(seconds=seconds, nanos=nanos)


def format_timestamp(moment: Timestamp) -> str:
    """Write an RFC 3339 text in UTC. Raises ValueError outside the years 1 to 9999."""
    return moment.ToJsonString()


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))
