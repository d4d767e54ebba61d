"""When the provider wants a retry, in every form in which it may say so."""

import re
from collections.abc import Callable, Mapping

from gateway.upstream.http_date import read_http_date

# The longest wait that is passed on, in seconds: what a client's pushback in milliseconds can hold
# as a 32-bit integer (gRFC A6), 24.8 days. A longer wish counts as this one.
WAIT_MAX_S = (2**31 - 1) / 1_000

# A number from this one on is a moment since 1970: as a span of seconds it would be 31 years.
_MOMENT_FROM_S = 1_000_000_000
# ... and from this one on it is in milliseconds: in seconds it would be the year 33658.
_MOMENT_FROM_MS = 1_000_000_000_000

# However many digits there are: beyond what a float holds is infinity, which is a wish, too.
_NUMBER = re.compile(r"\+?\d+(?:\.\d*)?", re.ASCII)

# A member of a list (RFC 9110, 5.6.1). The comma behind a day's name belongs to an HTTP date.
_MEMBER = re.compile(
    r"[ \t]*((?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[ \t]*,)?[^,]*)(?:,|$)",
    re.ASCII | re.IGNORECASE,
)


def retry_after(
    headers: Mapping[str, str], now: Callable[[], float], *, is_limited: bool
) -> float | None:
    """Return the seconds to wait before the next request, None if the response does not say.

    `is_limited` tells that the response is a 429: any response may say when its limit on the rate
    is reset, and it is a wish only where the limit is reached (or `x-ratelimit-remaining` is 0).

    Header names are in lower case; `now` gives the time in seconds since 1970. Read are, in this
    order: `retry-after-ms` (milliseconds), `retry-after` (RFC 9110, 10.2.3: seconds or an HTTP
    date), `x-ratelimit-reset` and `ratelimit-reset`. Seconds may have a fraction, or be a moment
    since 1970. Dates and moments are compared with the response's own `date`, so that clocks need
    not agree.
    Where a header holds several (the provider's and a proxy's, as lines or as a list), the latest
    counts. What has passed is zero, what is longer than WAIT_MAX_S is WAIT_MAX_S; what cannot be
    read counts as not there.
    """
    for name, read in (
        ("retry-after-ms", _milliseconds),
        ("retry-after", _seconds_or_date),
        ("x-ratelimit-reset", _seconds_or_moment),
        ("ratelimit-reset", _seconds_or_moment),
    ):
        if name.endswith("ratelimit-reset") and not (is_limited or _is_used_up(headers)):
            continue
        waits = (read(text, headers, now) for text in _members(headers.get(name, "")))
        wait = max((wait for wait in waits if wait is not None), default=None)
        if wait is not None:
            return min(max(wait, 0.0), WAIT_MAX_S)
    return None


def _members(text: str) -> list[str]:
    return [member.strip() for member in _MEMBER.findall(text)]


def _milliseconds(text: str, headers: Mapping[str, str], now: Callable[[], float]) -> float | None:
    number = _number(text)
    return None if number is None else number / 1_000


def _seconds_or_date(
    text: str, headers: Mapping[str, str], now: Callable[[], float]
) -> float | None:
    wait = _seconds_or_moment(text, headers, now)
    if wait is not None:
        return wait
    moment = read_http_date(text)
    return None if moment is None else moment - _sent_at(headers, now)


def _seconds_or_moment(
    text: str, headers: Mapping[str, str], now: Callable[[], float]
) -> float | None:
    number = _number(text)
    if number is None or number < _MOMENT_FROM_S:
        return number
    moment = number / 1_000 if number >= _MOMENT_FROM_MS else number
    return moment - _sent_at(headers, now)


def _sent_at(headers: Mapping[str, str], now: Callable[[], float]) -> float:
    sent = read_http_date(headers.get("date", ""))
    return now() if sent is None else sent


def _is_used_up(headers: Mapping[str, str]) -> bool:
    return any(
        _number(text) == 0
        for name in ("x-ratelimit-remaining", "ratelimit-remaining")
        for text in _members(headers.get(name, ""))
    )


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None
