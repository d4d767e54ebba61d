"""HTTP's dates as moments."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_http_date(text: str) -> float | None:
    """Return a date of any of HTTP's three forms (RFC 9110, 5.6.7), in seconds since 1970.

    None if it is none of them.
    """
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # asctime's form has no zone: HTTP means UTC.
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds()
