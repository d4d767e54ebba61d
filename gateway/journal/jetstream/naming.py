"""Names of gateways: each has one for as long as its log is open, by which others know it."""

import secrets
import socket

from gateway.journal.jetstream.subjects import part_of

# Of a host's name: enough to know the machine by.
_HOST_CHARACTERS_MAX = 40

# What tells the gateways of one host apart, in bytes.
_TOKEN_BYTES = 4


def own_name() -> str:
    """Return a name for this gateway: its host's, and something that no other has."""
    host = part_of(socket.gethostname().partition(".")[0])[:_HOST_CHARACTERS_MAX]
    return f"{host}-{secrets.token_hex(_TOKEN_BYTES)}"
