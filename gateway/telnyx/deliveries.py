"""The provider's own log of webhooks: what it sent to whom, page by page.

`GET /webhook_deliveries` is no conference or queue operation, so no RPC stands for it; what it
returns are webhooks, which are kept as they came and decoded elsewhere.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.codec.decoder import MismatchError
from gateway.codec.timestamps import parse_timestamp
from gateway.deadline import Deadline
from gateway.errors import Resource
from gateway.telnyx.client import TelnyxClient
from gateway.telnyx.errorbody import ProviderError
from gateway.telnyx.operation import RestCall, Safety
from gateway.telnyx.query import query_string

# A delivery holds up to six attempts with up to 10,000 characters of an answer each: a hundred of
# the largest still fit into what a transport is willing to read (8 MiB).
PAGE_SIZE = 100

_PATH = "/webhook_deliveries"


@dataclass(frozen=True, slots=True)
class DeliveriesRequest:
    """A page of the deliveries whose first attempt lies in a span of time, both ends included.

    Times are microseconds since 1970. `failed_only` leaves out what some address has accepted.
    """

    since_us: int
    until_us: int
    page: int = 1
    failed_only: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook that the provider sent or tried to send.

    `webhook` is the event as JSON, in the envelope it was posted in. `urls` are the addresses it
    was tried at; None if the provider does not say.
    """

    id: str
    started_at_us: int
    urls: frozenset[str] | None
    webhook: bytes


@dataclass(frozen=True, slots=True)
class DeliveriesPage:
    """A page: the deliveries on it, and how many pages there are by what the provider says now."""

    deliveries: tuple[Delivery, ...]
    pages: int


@dataclass(frozen=True, slots=True)
class ListDeliveries:
    """The operation, to be given to `TelnyxClient.call` with a `DeliveriesRequest`."""

    name: str = "ListWebhookDeliveries"
    safety: Safety = Safety.READ

    def prepare(self, request: DeliveriesRequest) -> RestCall:
        """See `Operation.prepare`."""
        parameters = [
            ("filter[started_at][gte]", _text(request.since_us)),
            ("filter[started_at][lte]", _text(request.until_us)),
            ("page[number]", str(request.page)),
            ("page[size]", str(PAGE_SIZE)),
        ]
        if request.failed_only:
            parameters.append(("filter[status][eq]", "failed"))
        path = _PATH + query_string(parameters)
        return RestCall("GET", path, None, "", command_id_was_made=False, page=None)

    def finish(self, call: RestCall, body: bytes, cursor: str) -> DeliveriesPage:
        """See `Operation.finish`. What is no delivery is left out: there is no event in it."""
        document = orjson.loads(body)
        rows = document.get("data") if isinstance(document, dict) else None
        if not isinstance(rows, list):
            raise MismatchError("it has no list `data`")
        pages = _pages(document.get("meta")) if rows else 0
        found = [_delivery(row) for row in rows]
        return DeliveriesPage(tuple(it for it in found if it is not None), pages)

    def field_at(self, pointer: str, request: DeliveriesRequest) -> str:
        """See `Operation.field_at`. No caller has made the request."""
        return pointer

    def missing(self, request: DeliveriesRequest, error: ProviderError) -> Resource | None:
        """See `Operation.missing`."""
        return None


class WebhookDeliveries:
    """The provider's log of webhooks. A page has `timeout_s` seconds, repeats included."""

    def __init__(self, client: TelnyxClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._list = ListDeliveries()

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        """Return a page of it. Raises GatewayError."""
        return await self._client.call(self._list, request, Deadline.after(self._timeout_s), "")


def _pages(meta: Any) -> int:
    try:
        return int(meta["total_pages"])
    except (KeyError, TypeError, ValueError):
        raise MismatchError("it does not say how many pages there are") from None


def _delivery(row: Any) -> Delivery | None:
    if not isinstance(row, dict) or not isinstance(row.get("webhook"), dict):
        return None
    try:
        webhook = orjson.dumps({"data": row["webhook"]})
    except TypeError:  # nested deeper than anybody writes
        return None
    return Delivery(
        str(row.get("id") or ""),
        _moment(row.get("started_at")),
        _urls(row.get("attempts")),
        webhook,
    )


def _urls(attempts: Any) -> frozenset[str] | None:
    urls = set()
    for attempt in attempts if isinstance(attempts, list) else ():
        try:
            urls.add(str(attempt["http"]["request"]["url"]))
        except (KeyError, TypeError):
            continue
    return frozenset(urls) or None


def _moment(text: Any) -> int:
    # It only orders what is stored; the webhook has times of its own.
    try:
        return parse_timestamp(str(text)).ToMicroseconds()
    except ValueError:
        return 0


def _text(moment_us: int) -> str:
    moment = datetime.fromtimestamp(moment_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment_us % 1_000_000:06}Z"
