"""Connections that flood the gateway."""

from typing import NamedTuple


class ConnectionHeld(NamedTuple):
    """A connection of which nothing is read any more, because it floods the gateway.

    `peer` is who floods and `kind` how (see `Refused.kind`). It is to be closed `for_s` seconds
    later: 0 where the system cannot hold it.
    """

    peer: str
    kind: str
    for_s: float


class ConnectionClosed(NamedTuple):
    """A connection that was held until the gateway closed it, for so many seconds.

    One whose client goes before that has no such record.
    """

    peer: str
    kind: str
    began: float
    seconds: float
