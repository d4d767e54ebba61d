"""Calls: RPCs of the gateway's callers."""

from typing import NamedTuple

from gateway.records.refusals import Refused


class CallEnded(NamedTuple):
    """A call whose status has been handed to the network.

    `method` is its full name (`package.Service/Method`), `status` the name of its gRPC status
    (`NOT_FOUND`). `refused` says what the gateway refused of it, None if nothing. `caller` is the
    name of who called, empty where that is not known.
    """

    method: str
    status: str
    began: float
    seconds: float
    refused: Refused | None = None
    caller: str = ""
