"""How to get in: the servers, and what the gateway shows them.

Files are read again for each connection, so that their contents can be replaced at any time.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.journal.errors import LogOpenError


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A CA that the servers' certificates must be of, and the gateway's own certificate and key.

    Without a CA, those of the system are trusted; without a certificate, none is shown.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return what connections are made with. Raises LogOpenError."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            raise LogOpenError(f"cannot use the TLS files for NATS: {error}") from None
        return context


@dataclass(frozen=True, slots=True)
class Access:
    """What the gateway shows: of credentials, one kind at the most.

    `login` returns `user:password` and `token` a token. `creds` is a file as the NATS tools write
    it, with a JWT and an NKEY seed; `nkey` a file with a seed alone. `tls` is None for connections
    in clear, unless a server asks for TLS.
    """

    login: Callable[[], str] | None = None
    token: Callable[[], str] | None = None
    creds: Path | None = None
    nkey: Path | None = None
    tls: TlsFiles | None = None


@dataclass(frozen=True, slots=True)
class StreamPlace:
    """Where a log is: `host:port` of some servers of one cluster, and the stream's name."""

    servers: tuple[str, ...]
    stream: str
    is_tls: bool = False

    def __str__(self) -> str:
        return f"{self.scheme}://{','.join(self.servers)}/{self.stream}"

    @property
    def scheme(self) -> str:
        """`tls` if connections must be encrypted."""
        return "tls" if self.is_tls else "nats"
