"""The three addresses that the gateway serves on, and what may be wrong with their settings."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from gateway.address import Address, TcpAddress, exclude_each_other, read_address
from gateway.tls.credentials import Credentials, CredentialsError, Pem
from gateway.tls.files import NamedFile, TlsFiles


@dataclass(frozen=True, slots=True)
class Port:
    """One of the addresses: its name, and where it is by default."""

    name: str
    default: str

    @property
    def prefix(self) -> str:
        """What the names of its settings begin with."""
        return f"GATEWAY_{self.name.upper()}"

    @property
    def address(self) -> str:
        """The setting that says where it is."""
        return f"{self.prefix}_ADDRESS"

    @property
    def trust(self) -> str:
        """The setting that says whether something else guards it."""
        return f"{self.prefix}_TRUST"

    @property
    def cert(self) -> str:
        """The setting that names the file of its certificate."""
        return f"{self.prefix}_TLS_CERT"

    @property
    def key(self) -> str:
        """The setting that names the file of that certificate's key."""
        return f"{self.prefix}_TLS_KEY"

    @property
    def client_ca(self) -> str:
        """The setting that names the file of CA certificates for its clients."""
        return f"{self.prefix}_TLS_CLIENT_CA"

    def tls_files(self, given: Mapping[str, str]) -> TlsFiles | None:
        """Return the files of its certificate, None if it is served in clear."""
        cert, key, client_ca = (given.get(it) for it in (self.cert, self.key, self.client_ca))
        if not cert or not key:
            return None
        return TlsFiles(
            self.name,
            NamedFile(self.cert, Path(cert)),
            NamedFile(self.key, Path(key)),
            NamedFile(self.client_ca, Path(client_ca)) if client_ca else None,
        )


GRPC = Port("grpc", "127.0.0.1:50051")
HTTP = Port("http", "127.0.0.1:8080")
ADMIN = Port("admin", "127.0.0.1:9080")
PORTS = (GRPC, HTTP, ADMIN)


def mistakes_of_ports(given: Mapping[str, str]) -> list[str]:
    """Return a line for each mistake; `given` has the settings' texts by their names.

    What makes no address by itself is left out: it has a line already.
    """
    addresses = dict(_addresses(given))
    mistakes = [
        f"{port.address} opens {address} to other hosts, unencrypted: set {port.cert} and"
        f" {port.key}, or {port.trust}=network if a sidecar or a private network guards it"
        for port, address in addresses.items()
        if not _is_guarded(port, address, given)
    ]
    for (one, first), (other, second) in combinations(addresses.items(), 2):
        if exclude_each_other(first, second):
            what = f"port {second.port}" if isinstance(second, TcpAddress) else f"{second}"
            mistakes.append(f"{other.address} uses {what}, as {one.address} does")
    for port in PORTS:
        mistakes += _mistakes_of_tls(port, given)
    return mistakes


def _addresses(given: Mapping[str, str]) -> Iterator[tuple[Port, Address]]:
    for port in PORTS:
        try:
            yield port, read_address(given.get(port.address, port.default))
        except ValueError:
            continue


def _is_guarded(port: Port, address: Address, given: Mapping[str, str]) -> bool:
    # Half of a certificate's settings is a mistake of its own, with a line of its own.
    wants_tls = any(given.get(it) for it in (port.cert, port.key, port.client_ca))
    return address.is_local or wants_tls or given.get(port.trust, "").lower() == "network"


def _mistakes_of_tls(port: Port, given: Mapping[str, str]) -> Iterator[str]:
    cert, key, client_ca = (bool(given.get(it)) for it in (port.cert, port.key, port.client_ca))
    if cert and not key:
        yield f"{port.cert} is set without {port.key}"
    if key and not cert:
        yield f"{port.key} is set without {port.cert}"
    if client_ca and not cert and not key:
        yield f"{port.client_ca} is set without {port.cert} and {port.key}"
    files = port.tls_files(given)
    if files is not None:
        try:
            Credentials.of(Pem.read(files), files, time.time())
        except CredentialsError as error:
            yield str(error)
