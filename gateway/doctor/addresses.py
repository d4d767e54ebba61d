"""The three addresses: whether they can be served on."""

import errno
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.address import Address, SocketFile, TcpAddress
from gateway.config import Settings
from gateway.doctor.finding import Finding, fault, ok
from gateway.ports import ADMIN, GRPC, HTTP


def findings(settings: Settings, *, runs: bool) -> Iterator[Finding]:
    """Yield what is found of each; `runs` says that a gateway runs with these settings."""
    for port, address in _addresses(settings):
        if runs:
            yield ok(port, f"{address}, served by the gateway that runs")
        else:
            yield _finding(port, address)


def _addresses(settings: Settings) -> Sequence[tuple[str, Address]]:
    return (
        (GRPC.address, settings.grpc_address),
        (HTTP.address, settings.http_address),
        (ADMIN.address, settings.admin_address),
    )


def _finding(setting: str, address: Address) -> Finding:
    why = _why_not(address)
    if why is None:
        return ok(setting, f"{address} can be served on")
    mend = (
        "end what uses it (`ss -ltnp` names it), or choose another address"
        if why == "is in use"
        else "choose an address of this machine"
    )
    return fault(setting, f"{address} {why}", mend)


def _why_not(address: Address) -> str | None:
    if isinstance(address, SocketFile):
        return _why_no_file(address.path)
    assert isinstance(address, TcpAddress)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as made:
            # As servers do it, so that an address that was in use a moment ago can be had.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address.host, address.port))
            made.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "is in use"
        return f"cannot be had: {error.strerror or error}"
    return None


def _why_no_file(path: Path) -> str | None:
    """Return why no socket can be made at a path; one that nobody listens at is replaced."""
    if not path.parent.is_dir():
        return f"cannot be had: there is no folder {path.parent}"
    if not path.exists():
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        try:
            made.connect(str(path))
        except OSError:
            return None if path.is_socket() else "is a file, and no socket"
    return "is in use"
