"""REST requests as values: what an RPC becomes, before anybody sends it."""

import enum
from typing import NamedTuple

from gateway.schema.pages import RequestedPage


class Safety(enum.Enum):
    """What a retry of an operation does (from `idempotency_level`)."""

    READ = "read"  # nothing
    IDEMPOTENT = "idempotent"  # nothing more than the first did
    ONCE = "once"  # everything the first did, again


class RestRequest(NamedTuple):
    """One REST request, ready to be sent, and what is needed to read its response."""

    method: str
    path: str
    body: bytes | None
    command_id: str
    # Whether the gateway made the command id, because the caller gave none.
    command_id_was_made: bool
    page: RequestedPage | None
