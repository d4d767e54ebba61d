"""Credentials: what is shown to a server, and to which servers nothing is."""

from importlib.util import find_spec
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from gateway.journal.errors import LogOpenError
from gateway.journal.jetstream.access import Access


class TlsClient(Client):
    """A client that says nothing to a server in clear.

    The library's own connects in clear to a server that does not ask for TLS, whatever the scheme
    of its address, and shows it all credentials. Here they are made up, once it is known.
    """

    def _connect_command(self) -> bytes:
        if not self._server_info.get("tls_required"):
            raise NatsError("the server does not ask for TLS, without which nothing is sent to it")
        return super()._connect_command()


def shown_by(access: Access) -> dict[str, Any]:
    """Return what the client library is given to show. Raises LogOpenError."""
    login = access.login
    if (access.creds or access.nkey) and find_spec("nkeys") is None:
        raise LogOpenError(
            "an NKEY or a JWT for NATS needs a package that is not installed:"
            " pip install 'telnyx-grpc-gateway[nkeys]'"
        )
    shown: dict[str, Any] = {
        "user": None if login is None else lambda: login().partition(":")[0],
        "password": None if login is None else lambda: login().partition(":")[2],
        "token": access.token,
        "user_credentials": None if access.creds is None else str(access.creds),
        "nkeys_seed": None if access.nkey is None else str(access.nkey),
        "tls": None if access.tls is None else access.tls.context(),
    }
    return {name: value for name, value in shown.items() if value is not None}
