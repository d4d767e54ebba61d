"""Where an address's certificates are, and the names of the settings that say so."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file, and the setting that names it."""

    setting: str
    path: Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of one address, in PEM, each with the setting that names it.

    `port` is the address's name. With a `client_ca`, clients must have a certificate that one of
    these signed.
    """

    port: str
    cert: NamedFile
    key: NamedFile
    client_ca: NamedFile | None = None
