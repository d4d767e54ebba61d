"""Webhooks, and the events that are made of them."""

from typing import NamedTuple

from gateway.records.refusals import Refused


class WebhookReceived(NamedTuple):
    """A request to the webhook address that has been responded to, or that was ended before.

    `result` is `stored`, `duplicate` or the reason of a refusal in lower case. Reasons for which
    the HTTP server ends a connection by itself are among them; of these nothing else is known.
    `event_type` is the provider's text, and may be anything; it is empty where nothing was stored.
    `refused` says what was refused, None if nothing. `status` is that of the response, zero where
    there is none. `event_id` is the provider's id of the event, as far as the body was read.
    """

    result: str
    event_type: str
    size_bytes: int
    began: float
    seconds: float
    refused: Refused | None = None
    status: int = 200
    event_id: str = ""
    trace_id: str = ""


class EventNoted(NamedTuple):
    """An event that does not show all of its webhook as it was sent, by one of its reasons."""

    reason: str
