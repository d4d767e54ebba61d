"""Asks a gateway beside it how it is: for the health check of a container, and for people.

A program of its own, `python -m gateway.healthcheck`, because it runs every few seconds: it loads
nothing of what the gateway loads, so it takes a twentieth of a second instead of a whole one.
"""

import http.client
import os
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence

from gateway.address import Address, SocketFile, TcpAddress, read_address

# The settings that say where and how the gateway serves its health, as the gateway has them: what
# declares them would load too much.
ADDRESS, DEFAULT_ADDRESS = "GATEWAY_ADMIN_ADDRESS", "127.0.0.1:9080"
TLS_CERT, TLS_KEY = "GATEWAY_ADMIN_TLS_CERT", "GATEWAY_ADMIN_TLS_KEY"

# Whether the process works at all, and whether it can do all that it is for.
LIVE, READY = "/healthz", "/readyz"

# How long a response may take, in seconds. One that takes longer is as good as none.
TIMEOUT_S = 3.0

# Where a server that listens everywhere is reached from the same host.
_HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}

# The most that is shown of a response, in characters.
_SHOWN_MAX = 500

_OK = 200


class _Connection(http.client.HTTPConnection):
    """HTTP over a port or a socket file, in TLS if there is a context for it."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        if isinstance(address, TcpAddress):
            super().__init__(_HERE.get(address.host, address.host), address.port, timeout_s)
        else:
            super().__init__("localhost", timeout=timeout_s)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        if isinstance(self._address, SocketFile):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(self._address.path))
        else:
            super().connect()
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock)


def admin_address(env: Mapping[str, str]) -> Address:
    """Return where the gateway with this environment serves its health.

    Raises ValueError, naming the setting.
    """
    try:
        address = read_address(env.get(ADDRESS, "").strip() or DEFAULT_ADDRESS)
    except ValueError as error:
        raise ValueError(f"{ADDRESS} {error}") from None
    if isinstance(address, TcpAddress) and address.port == 0:
        raise ValueError(f"{ADDRESS} is any free port, which only the gateway's log names")
    return address


def admin_tls(env: Mapping[str, str]) -> ssl.SSLContext | None:
    """Return how the gateway is spoken to in TLS, None if it serves its health in clear.

    It is on this host, so nobody has to say that it is who it is. Its own certificate is shown to
    it, which it accepts where its client CA has signed it. Raises ValueError, naming the setting.
    """
    cert, key = (env.get(it, "").strip() for it in (TLS_CERT, TLS_KEY))
    if not cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        context.load_cert_chain(cert, key or None)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"{TLS_CERT} and {TLS_KEY} cannot be read: {error}") from None
    return context


def trouble_of(
    address: Address,
    path: str,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = TIMEOUT_S,
) -> str | None:
    """Return what is wrong with the gateway whose admin address this is, None if it is well."""
    connection = _Connection(address, tls, timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read(_SHOWN_MAX).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"no response from {address}: {error or type(error).__name__}"
    finally:
        connection.close()
    return None if response.status == _OK else text or f"HTTP {response.status}"


def main(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Print how the gateway is; returns 0 if it is well, 1 if not, and 2 for a wrong setting."""
    try:
        address, tls = admin_address(env), admin_tls(env)
    except ValueError as error:
        print(f"telnyx-gateway: {error}", file=sys.stderr)
        return 2
    trouble = trouble_of(address, READY if "--ready" in arguments else LIVE, tls)
    print(trouble or "ok")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
