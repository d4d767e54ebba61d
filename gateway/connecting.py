"""The options of every command that connects to a gateway."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeAlias

import click

from gateway.client.channel import Connection
from gateway.ports import GRPC

Command: TypeAlias = Callable[..., None]

_FILE = click.Path(path_type=Path)


def connects(command: Command) -> Command:
    """Add the options to a command; it gets a `connection` that is checked, and not opened."""

    @click.option(
        "--address", default=GRPC.default, show_default=True, help="Address of the gateway."
    )
    @click.option("--tls", is_flag=True, help="Connect in TLS; so do the --tls-... options.")
    @click.option(
        "--tls-ca", type=_FILE, help="File of CA certificates (PEM) to know the gateway by."
    )
    @click.option("--tls-cert", type=_FILE, help="File of the client's own certificate (PEM).")
    @click.option("--tls-key", type=_FILE, help="File of its key (PEM).")
    @click.option("--token-file", type=_FILE, help="File of a bearer token to send.")
    @wraps(command)
    def with_connection(
        *arguments: Any,
        address: str,
        tls: bool,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        token_file: Path | None,
        **others: Any,
    ) -> None:
        connection = Connection(address, tls, tls_ca, tls_cert, tls_key, token_file)
        try:
            connection.check()
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        command(*arguments, connection=connection, **others)

    return with_connection
