"""Why a call has no caller. What that means to whoever called is said at the edge."""

from enum import Enum


class Unidentified(Enum):
    """Why nobody can be named for a call. Few, so that they tell those who guess little."""

    CREDENTIALS_MISSING = "the call has neither a bearer token nor a client certificate"
    CALLER_UNKNOWN = "the credentials are of no caller that the gateway knows"
    TOKEN_EXPIRED = "the token has expired"
    KEYS_UNAVAILABLE = "the keys of the token's issuer are not known yet"


class UnidentifiedError(Exception):
    """A call whose caller is not known.

    `detail`, if there is any, says more: nothing that its caller has not proved to be its own.
    """

    def __init__(self, why: Unidentified, detail: str = "") -> None:
        super().__init__(detail or why.value)
        self.why = why


class CallersFileError(ValueError):
    """A callers file that cannot be used. The text lists every mistake, a line each."""
