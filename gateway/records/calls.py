"""Calls: RPCs of the gateway's callers."""

from typing import NamedTuple

from gateway.records.refusals import Refused
from gateway.tracecontext import Span


class CallEnded(NamedTuple):
    """A call whose status has been handed to the network.

    `method` is its full name (`package.Service/Method`), `status` the name of its gRPC status
    (`NOT_FOUND`). `refused` says what the gateway refused of it, None if nothing; `span` is its
    place in a trace, None if it has none.
    """

    method: str
    status: str
    began: float
    seconds: float
    refused: Refused | None = None
    span: Span | None = None

    @property
    def trace_id(self) -> str:
        """The id of its trace, empty if it is in none."""
        return "" if self.span is None else self.span.context.trace_id
