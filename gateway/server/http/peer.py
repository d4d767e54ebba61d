"""Who is at the other end of an HTTP connection, as far as its handshake has shown."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

# Where a request's state has the client's certificate.
_CERTIFICATE = "gateway.peer_certificate"


def certificate_of(transport: asyncio.BaseTransport) -> bytes | None:
    """Return the client certificate of a connection (DER), None if it has shown none.

    The server asks for certificates only where it requires and verifies them, so one that is there
    is of a client CA.
    """
    connection = transport.get_extra_info("ssl_object")
    found: bytes | None = connection and connection.getpeercert(binary_form=True)
    return found


def keep_certificate(state: MutableMapping[str, Any], certificate: bytes | None) -> None:
    """Put the certificate of its connection into a request's state."""
    state[_CERTIFICATE] = certificate


def kept_certificate(state: MutableMapping[str, Any]) -> bytes | None:
    """Return the certificate of a request's connection, None if there is none."""
    found: bytes | None = state.get(_CERTIFICATE)
    return found
