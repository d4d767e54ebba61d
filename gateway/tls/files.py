"""Where an address's certificates are, and the names of the settings that say so."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of one address, in PEM.

    `prefix` is what its settings begin with (`GATEWAY_GRPC`). With a `client_ca`, clients must have
    a certificate that one of these signed.
    """

    prefix: str
    cert: Path
    key: Path
    client_ca: Path | None = None

    @property
    def cert_setting(self) -> str:
        """The setting that names the certificate's file."""
        return cert_setting(self.prefix)

    @property
    def key_setting(self) -> str:
        """The setting that names the key's file."""
        return key_setting(self.prefix)

    @property
    def client_ca_setting(self) -> str:
        """The setting that names the file of CA certificates for clients."""
        return client_ca_setting(self.prefix)


def cert_setting(prefix: str) -> str:
    """Return the setting that names the file of an address's certificate."""
    return f"{prefix}_TLS_CERT"


def key_setting(prefix: str) -> str:
    """Return the setting that names the file of its key."""
    return f"{prefix}_TLS_KEY"


def client_ca_setting(prefix: str) -> str:
    """Return the setting that names the file of CA certificates for its clients."""
    return f"{prefix}_TLS_CLIENT_CA"
