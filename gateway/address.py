"""Addresses to listen on: a port of a host, or a socket file."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

PORT_MAX = 65_535

# The longest path of a socket file, in bytes. Systems allow 103 to 107 (`sun_path`), and the file
# is made under a longer name before it gets its own.
PATH_BYTES_MAX = 90

# Host names (RFC 1123), and the underscore that container networks allow.
_HOST_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_HOST_LABEL}(?:\.{_HOST_LABEL})*\.?")

_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port of a host. Port 0 means any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether only this host can connect."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class SocketFile:
    """A Unix socket, by its absolute path."""

    path: Path

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}"

    @property
    def is_local(self) -> bool:
        """Whether only this host can connect."""
        return True


Address: TypeAlias = TcpAddress | SocketFile


def exclude_each_other(one: Address, other: Address) -> bool:
    """Whether nothing can listen on both at the same time."""
    if not isinstance(one, TcpAddress) or not isinstance(other, TcpAddress):
        return one == other
    if one.port == 0 or one.port != other.port:
        return False
    hosts = {one.host.lower(), other.host.lower()}
    return len(hosts) == 1 or bool(hosts & {"0.0.0.0", "::"})


def read_address(text: str) -> Address:
    """Read `host:port`, `[v6]:port` or `unix:/path`.

    Raises ValueError with words that follow the setting's name.
    """
    if text.startswith(_UNIX):
        return SocketFile(_read_path(text.removeprefix(_UNIX)))
    host, separator, port = text.rpartition(":")
    if not separator or not host or not re.fullmatch(r"[0-9]{1,9}", port):
        raise ValueError("is not host:port, such as 127.0.0.1:9000 or [::1]:9000, or unix:/path")
    if host.startswith("[") and host.endswith("]"):
        check_ip(host[1:-1], 6)
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("has several colons: put an IPv6 address in brackets, such as [::1]:9000")
    else:
        check_host(host)
    if int(port) > PORT_MAX:
        raise ValueError(f"has the port {port}; ports end at {PORT_MAX}")
    return TcpAddress(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether a host's name or IP address stands for this host, seen from itself."""
    host = host.lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str) -> None:
    """Raise ValueError unless a text is a host's name or an IPv4 address."""
    if not _HOST.fullmatch(host):
        raise ValueError("has an invalid host")
    if re.fullmatch(r"[0-9.]+", host):
        check_ip(host, 4)


def check_ip(text: str, version: Literal[4, 6]) -> None:
    """Raise ValueError unless a text is an IP address of a version."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        found = None
    if found is None or found.version != version:
        raise ValueError(f"has an invalid IPv{version} address as host")


def _read_path(text: str) -> Path:
    # gRPC writes `unix:///path`, too.
    if text.startswith("///"):
        text = text[2:]
    if not text.startswith("/") or text.startswith("//"):
        raise ValueError("is not unix: with an absolute path, such as unix:/run/gateway/grpc.sock")
    if text.endswith("/") or "\0" in text:
        raise ValueError("does not name a file after unix:")
    if len(text.encode()) > PATH_BYTES_MAX:
        raise ValueError(f"has a path of more than {PATH_BYTES_MAX} bytes after unix:")
    return Path(text)
