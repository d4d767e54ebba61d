"""Refusals: what a server says to a gateway that it does not let in, and what does not pass."""

import ssl

# The words of a server that lets nobody in (`server/errors.go` of nats-server), and what is said of
# one to which nothing is shown, in small letters.
_REFUSALS = (
    "authorization violation",
    "authorization failed",
    "authentication expired",
    "authentication revoked",
    "does not ask for tls",
)


def is_refusal(error: Exception) -> bool:
    """Whether a server lets nobody in with what it was shown, or must not be shown anything."""
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    text = words_of(error).lower()
    return any(it in text for it in _REFUSALS)


def words_of(error: BaseException) -> str:
    """Return what an error says. It never has credentials: the client's texts have none."""
    return str(error) or type(error).__name__
