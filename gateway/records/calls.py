"""Calls: RPCs of the gateway's callers."""

from typing import NamedTuple

from gateway.records.refusals import Refused


class CallEnded(NamedTuple):
    """A call whose status has been handed to the network.

    `method` is its full name (`package.Service/Method`), `status` the name of its gRPC status
    (`NOT_FOUND`). `refused` says what the gateway refused of it, None if nothing.

    `peer` is the connection it came on, `caller` the name of who calls, empty for one without a
    name. `reason` is that of the error that the caller gets (see `ErrorInfo`) and `message` its
    words; both are empty where it gets none: it has succeeded, or the caller has gone. `attempts`
    is how many requests were sent to the provider for it. The bytes are those of all its messages,
    without headers. `request_id` and `trace_id` are the ids that it is found by elsewhere; it may
    be in no trace.
    """

    method: str
    status: str
    began: float
    seconds: float
    refused: Refused | None = None
    peer: str = ""
    caller: str = ""
    reason: str = ""
    message: str = ""
    attempts: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    is_stream: bool = False
    request_id: str = ""
    trace_id: str = ""
