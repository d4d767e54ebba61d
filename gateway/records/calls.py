"""Calls: RPCs of the gateway's callers."""

from typing import NamedTuple

from gateway.records.refusals import Refused
from gateway.tracecontext import Span

# What the method of a call is called that nobody serves: its name is the caller's to invent (gRFC
# A66).
OTHER = "other"


class CallEnded(NamedTuple):
    """A call whose status has been handed to the network.

    `method` is its full name (`package.Service/Method`), `status` the name of its gRPC status
    (`NOT_FOUND`). `refused` says what the gateway refused of it, None if nothing.

    `peer` is the connection it came on, `caller` the name of who calls, empty for one without a
    name. `reason` is that of the error that the caller gets (see `ErrorInfo`) and `message` its
    words; both are empty where it gets none: it has succeeded, or the caller has gone. `attempts`
    is how many requests were sent to the provider for it. The bytes are those of all its messages,
    without headers. `request_id` is the id that it is found by elsewhere, `span` its place in a
    trace, None if it has none.
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
    span: Span | None = None

    @property
    def trace_id(self) -> str:
        """The id of its trace, empty if it is in none."""
        return "" if self.span is None else self.span.context.trace_id


class UnknownCalls(NamedTuple):
    """Calls of methods that nobody has, refused by gRPC: why, and how many."""

    reason: str
    calls: int
