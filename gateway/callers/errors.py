"""Why a call has no caller, or its caller no more room. The edge tells what that means."""

from enum import Enum


class Unidentified(Enum):
    """Why nobody can be named for a call. Few, so that they tell those who guess little."""

    CREDENTIALS_MISSING = "the call has neither a bearer token nor a client certificate"
    CALLER_UNKNOWN = "the credentials are of no caller that the gateway knows"
    FORWARDED_UNREADABLE = "the x-forwarded-client-cert of the proxy cannot be read"
    TOKEN_EXPIRED = "the token has expired"
    KEYS_UNAVAILABLE = "the keys of the token's issuer are not known yet"


class UnidentifiedError(Exception):
    """A call whose caller is not known.

    `detail`, if there is any, says more: nothing that its caller has not proved to be its own.
    """

    def __init__(self, why: Unidentified, detail: str = "") -> None:
        super().__init__(detail or why.value)
        self.why = why


# What each limit says when it is met, by its name in the callers file.
_MET = {
    "calls_per_second": "may begin {most:,} calls a second: call less often",
    "calls_in_progress": "has {most:,} calls in progress, its maximum: wait for some to end",
    "streams": "has {most:,} streams open, its maximum: end some, or follow more with each",
    "watched_conferences": "watches {most:,} conferences, its maximum: end some of the streams",
    "filter_bytes": "may have filters of {most:,} bytes in its open streams: use fewer values",
    "searches": "has {most:,} searches of the event log in progress, its maximum: wait for them",
}


class LimitExceededError(Exception):
    """A call that is beyond one of its caller's limits.

    `limit` is the name of that in the callers file, `most` its value, and `retry_s` the seconds
    after which a retry makes sense.
    """

    def __init__(self, caller: str, limit: str, most: float, retry_s: float) -> None:
        met = _MET[limit].format(most=most)
        super().__init__(f"{caller} {met} ({limit} in the gateway's callers file)")
        self.caller = caller
        self.limit = limit
        self.most = most
        self.retry_s = retry_s


class CallersFileError(ValueError):
    """A callers file that cannot be used. The text lists every mistake, a line each."""
