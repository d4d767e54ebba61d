"""What gRPC has of who makes a call, as credentials."""

from collections.abc import Callable
from functools import lru_cache

from gateway.callers.credentials import Credentials
from gateway.callers.forwarded import HEADER
from gateway.callers.patterns import CertificateName, names_in
from gateway.server.call import AuthContext, Metadata

_BEARER = "bearer "


def credentials_of(metadata: Metadata, connection: Callable[[], AuthContext]) -> Credentials:
    """Return what a call shows of its caller: the token in its metadata, or else its certificate.

    `connection` is asked only if there is no token, which decides alone.
    """
    bearer = bearer_of(metadata)
    if bearer is not None:
        return Credentials(bearer=bearer)
    return Credentials(names_of(connection()), forwarded=forwarded_of(metadata))


def names_of(connection: AuthContext) -> tuple[CertificateName, ...] | None:
    """Return the names in the client certificate of a connection, None if it has none.

    The server asks for certificates only where it requires and verifies them, so one that is there
    is of a client CA.
    """
    if "x509_pem_cert" not in connection:
        return None
    return _names(tuple(connection.get("peer_uri", ())), tuple(connection.get("peer_dns", ())))


def forwarded_of(metadata: Metadata) -> str | None:
    """Return what a call says of the certificate of somebody else, None if it says nothing.

    Several headers are one with commas (RFC 9110, 5.3).
    """
    given = [value for key, value in metadata if key == HEADER and isinstance(value, str)]
    return ",".join(given) if given else None


def bearer_of(metadata: Metadata) -> str | None:
    """Return the bearer token of a call (RFC 6750, 2.1); see `Credentials`."""
    text: str | bytes | None = None
    for key, value in metadata:
        if key == "authorization":
            if text is not None:
                return ""
            text = value
    if text is None:
        return None
    if not isinstance(text, str) or text[: len(_BEARER)].lower() != _BEARER:
        return ""
    return text[len(_BEARER) :].strip()


# Of each certificate that comes, its names are read once; a client CA has signed it.
@lru_cache(4_096)
def _names(uris: tuple[bytes, ...], dns: tuple[bytes, ...]) -> tuple[CertificateName, ...]:
    return names_in([*map(_text, uris)], [*map(_text, dns)])


def _text(name: bytes) -> str:
    return name.decode("ascii", "replace")
