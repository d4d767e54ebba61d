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

# The bounds of google.protobuf.Timestamp, both included, in seconds since 1970.
_FIRST_S = -62_135_596_800
_LAST_S = 253_402_300_799

# The lengths of what the provider writes nearly always: UTC, to the second, millisecond or
# microsecond. The standard library reads those ten times faster than the pattern above.
_COMMON_LENGTHS = frozenset({20, 24, 27})


def parse_timestamp(text: str) -> Timestamp:
    """Read an RFC 3339 text. Raises ValueError for anything else.

    A leap second (`23:59:60` in UTC) is read as the first second of the next day, as the clocks of
    computers count it. Moments outside of the years 1 to 9999 in UTC raise ValueError: protobuf
    holds no others.
    """
    if len(text) in _COMMON_LENGTHS and text[-1] == "Z" and text[10] == "T" and text[17] != "6":
        since = datetime.fromisoformat(text) - _EPOCH
        return Timestamp(
            seconds=since.days * _DAY_S + since.seconds, nanos=since.microseconds * 1_000
        )
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 timestamp")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    leaps = second == "60"
    moment = datetime(
        int(year),
        int(month),
        int(day),
        int(hour),
        int(minute),
        59 if leaps else int(second),
        tzinfo=_zone(zone),
    )
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    since = moment - _EPOCH
    seconds = since.days * _DAY_S + since.seconds
    if leaps:
        seconds += 1
        if seconds % _DAY_S:
            raise ValueError("not a leap second: those end days in UTC")
    if not _FIRST_S <= seconds <= _LAST_S:
        raise ValueError("outside of the years 1 to 9999")
    return Timestamp(seconds=seconds, nanos=nanos)


def format_timestamp(moment: Timestamp) -> str:
    """Write an RFC 3339 text in UTC. Raises ValueError outside the years 1 to 9999."""
    return moment.ToJsonString()


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))
