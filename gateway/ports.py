"""The three addresses that the gateway serves on, and what may be wrong with them together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from gateway.address import Address, TcpAddress, exclude_each_other, read_address


@dataclass(frozen=True, slots=True)
class Port:
    """One of the addresses, by what the names of its settings begin with."""

    prefix: str
    default: str

    @property
    def address(self) -> str:
        """The setting that says where it is."""
        return f"{self.prefix}_ADDRESS"

    @property
    def trust(self) -> str:
        """The setting that says what guards it without TLS."""
        return f"{self.prefix}_TRUST"


GRPC = Port("GATEWAY_GRPC", "127.0.0.1:50051")
HTTP = Port("GATEWAY_HTTP", "127.0.0.1:8080")
ADMIN = Port("GATEWAY_ADMIN", "127.0.0.1:9080")
PORTS = (GRPC, HTTP, ADMIN)


def mistakes_of_ports(given: Mapping[str, str]) -> list[str]:
    """Return a line for each mistake; `given` has the settings' texts by their names.

    What makes no address by itself is left out: it has a line already.
    """
    addresses = dict(_addresses(given))
    mistakes = [
        f"{port.address} opens {address} to other hosts, unencrypted: set {port.trust}=network if a"
        " sidecar or a private network guards it"
        for port, address in addresses.items()
        if not address.is_local and given.get(port.trust, "").lower() != "network"
    ]
    for (one, first), (other, second) in combinations(addresses.items(), 2):
        if exclude_each_other(first, second):
            what = f"port {second.port}" if isinstance(second, TcpAddress) else f"{second}"
            mistakes.append(f"{other.address} uses {what}, as {one.address} does")
    return mistakes


def _addresses(given: Mapping[str, str]) -> Iterator[tuple[Port, Address]]:
    for port in PORTS:
        try:
            yield port, read_address(given.get(port.address, port.default))
        except ValueError:
            continue
