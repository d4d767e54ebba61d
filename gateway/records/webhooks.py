"""Webhooks, and the events that are made of them."""

from typing import NamedTuple

from gateway.records.refusals import Refused
from gateway.tracecontext import Span


class Stages(NamedTuple):
    """How far a webhook came: when each stage was over, on the clock of its beginning.

    Zero for what was never reached. After the last one it was stored, or was to be.
    """

    read: float = 0.0
    verified: float = 0.0
    decoded: float = 0.0


class WebhookReceived(NamedTuple):
    """A request to the webhook address that has been responded to, or that was ended before.

    `result` is `stored`, `duplicate` or the reason of a refusal in lower case. Reasons for which
    the HTTP server ends a connection by itself are among them; of these nothing else is known.
    `event_type` is the provider's text, and may be anything; it is empty where nothing was stored.
    `refused` says what was refused, None if nothing. `status` is that of the response, zero where
    there is none. `event_id` is the provider's id of the event, as far as the body was read.
    `span` is its place in a trace, None if it has none.
    """

    result: str
    event_type: str
    size_bytes: int
    began: float
    seconds: float
    refused: Refused | None = None
    status: int = 200
    event_id: str = ""
    span: Span | None = None
    stages: Stages = Stages()
    http_method: str = ""

    @property
    def trace_id(self) -> str:
        """The id of its trace, empty if it is in none."""
        return "" if self.span is None else self.span.context.trace_id


class EventNoted(NamedTuple):
    """An event that does not show all of its webhook as it was sent, by one of its reasons."""

    reason: str
