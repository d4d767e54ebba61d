"""The provider's delivery log: which webhooks it sent to whom, page by page.

`GET /webhook_deliveries` is no conference or queue operation, so no RPC stands for it; what it
returns are webhooks, which are kept as they came and decoded elsewhere.

The log holds what other people's servers wrote (the responses to webhooks of every application of
the account), so it may hold anything. An unreadable row never loses another.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway.deadline import Deadline
from gateway.details import Resource
from gateway.schema.decoder import MismatchError
from gateway.schema.json_text import decoded, elements, members
from gateway.schema.lenient_json import has_double, read
from gateway.schema.query import query_string
from gateway.schema.rest import RestRequest, Safety
from gateway.schema.timestamps import parse_timestamp
from gateway.upstream.client import TelnyxClient
from gateway.upstream.failures.errorbody import ProviderError
from gateway.upstream.transport import HttpResponse

# A delivery holds up to six attempts with up to 10,000 characters of a response each: fifty of the
# largest still fit into what a transport is willing to read (4 MiB).
PAGE_SIZE = 50

# The most rows that are read of a page, several times what is requested.
ROWS_MAX = 1_000

_PATH = "/webhook_deliveries"

# The years 1 to 9999, in microseconds since 1970.
_CALENDAR_US = (-62_135_596_800_000_000, 253_402_300_799_999_999)

# Where a page says how many there are of all.
_TOTALS = ("total_results", "total_pages")


@dataclass(frozen=True, slots=True)
class DeliveriesRequest:
    """A page of the deliveries whose first attempt lies in a span of time, both ends included.

    Times are microseconds since 1970. `failed_only` leaves out what some address has accepted.
    """

    since_us: int
    until_us: int
    page: int = 1
    failed_only: bool = False
    size: int = PAGE_SIZE


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
class UnreadableEntry:
    """A row of the log without a readable webhook.

    `id` is empty, and `urls` None, if these cannot be read either.
    """

    id: str
    urls: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class DeliveriesPage:
    """A page: the deliveries on it, and how many pages there are by what the provider says now.

    `pages` is None if it does not say: then an empty page is the end.
    """

    deliveries: tuple[Delivery, ...]
    pages: int | None
    unreadable: tuple[UnreadableEntry, ...] = ()

    @property
    def rows(self) -> int:
        """How many entries there are on it, readable or not."""
        return len(self.deliveries) + len(self.unreadable)


@dataclass(frozen=True, slots=True)
class ListDeliveries:
    """The operation, to be given to `TelnyxClient.call` with a `DeliveriesRequest`."""

    name: str = "ListWebhookDeliveries"
    safety: Safety = Safety.READ

    def prepare(self, request: DeliveriesRequest) -> RestRequest:
        """See `Operation.prepare`."""
        parameters = [
            ("filter[started_at][gte]", moment_text(request.since_us)),
            ("filter[started_at][lte]", moment_text(request.until_us)),
            ("page[number]", str(request.page)),
            ("page[size]", str(request.size)),
        ]
        if request.failed_only:
            parameters.append(("filter[status][eq]", "failed"))
        path = _PATH + query_string(parameters)
        return RestRequest("GET", path, None, "", command_id_was_made=False, page=None)

    def check(self, response: HttpResponse) -> None:
        """See `Operation.check`. `finish` finds what of it cannot be read."""

    def finish(self, rest: RestRequest, body: bytes) -> DeliveriesPage:
        """See `Operation.finish`. A row that cannot be read does not hide the others."""
        try:
            return _page_of_values(body)
        except (ValueError, TypeError):
            # Some row holds what no strict reader or writer takes: read each for itself.
            return _page_of_texts(body)

    def field_at(self, pointer: str, request: DeliveriesRequest) -> str:
        """See `Operation.field_at`. No caller has made the request."""
        return pointer

    def missing(self, request: DeliveriesRequest, error: ProviderError) -> Resource | None:
        """See `Operation.missing`."""
        return None


class WebhookDeliveries:
    """The provider's delivery log. A page has `timeout_s` seconds, retries included."""

    def __init__(self, client: TelnyxClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._list = ListDeliveries()

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        """Return a page of it. Raises UpstreamError."""
        return await self._client.call(self._list, request, Deadline.after(self._timeout_s))

    async def touch(self) -> None:
        """Request next to nothing, for the sake of a response. Raises UpstreamError."""
        await self.page(DeliveriesRequest(0, 0, size=1))


def _page_of_values(body: bytes) -> DeliveriesPage:
    """Read a page at once. Raises ValueError or TypeError if not all of it can be read exactly."""
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise MismatchError("an object")
    rows = _rows(document.get("data"), document.get("meta"))
    return _page([_entry_of_value(row) for row in rows], document.get("meta"))


def _page_of_texts(body: bytes) -> DeliveriesPage:
    """Read a page row by row. Raises ValueError if it is no page, or is truncated."""
    document = members(decoded(body)[0])
    data, meta = document.get("data", "null"), _value(document.get("meta"))
    rows = _rows(elements(data) if data.startswith("[") else _value(data), meta)
    return _page([_entry_of_text(row) for row in rows], meta)


def _rows(data: Any, meta: Any) -> list[Any]:
    if isinstance(data, list):
        if len(data) > ROWS_MAX:
            raise MismatchError(f"an array of at most {ROWS_MAX} rows", "data")
        return data
    if data is None and isinstance(meta, dict) and 0 in (_count(meta, it) for it in _TOTALS):
        return []
    raise MismatchError("an array", "data")


def _page(entries: list[Delivery | UnreadableEntry], meta: Any) -> DeliveriesPage:
    pages = _count(meta, "total_pages") if entries else 0
    return DeliveriesPage(
        tuple(it for it in entries if isinstance(it, Delivery)),
        pages,
        tuple(it for it in entries if isinstance(it, UnreadableEntry)),
    )


def _count(meta: Any, name: str) -> int | None:
    """Return a number of the page's `meta`; None if it does not stand there in any form."""
    value = meta.get(name) if isinstance(meta, dict) else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def _entry_of_value(row: Any) -> Delivery | UnreadableEntry:
    """Read a row. Raises ValueError or TypeError if its webhook cannot be written as it came."""
    if not isinstance(row, dict):
        return UnreadableEntry("", None)
    webhook = row.get("webhook")
    if has_double([row.get("id"), webhook]):
        raise ValueError("it may hold a number that a double does not")
    raw = orjson.dumps({"data": webhook}) if isinstance(webhook, dict) else b""
    return _entry(row.get("id"), row.get("started_at"), row.get("attempts"), raw)


def _entry_of_text(text: str) -> Delivery | UnreadableEntry:
    try:
        # Most are as they should be, and this is ten times as fast.
        return _entry_of_value(orjson.loads(text))
    except (ValueError, TypeError):
        pass
    try:
        row = members(text)
    except ValueError:
        return UnreadableEntry("", None)
    webhook = row.get("webhook", "")
    raw = b'{"data":%b}' % webhook.encode() if webhook.startswith("{") else b""
    return _entry(
        _value(row.get("id")), _value(row.get("started_at")), _value(row.get("attempts")), raw
    )


def _entry(id_: Any, started_at: Any, attempts: Any, webhook: bytes) -> Delivery | UnreadableEntry:
    name, urls = str(id_ or ""), _urls(attempts)
    if not webhook:
        return UnreadableEntry(name, urls)
    return Delivery(name, _moment(started_at), urls, webhook)


def _value(text: str | None) -> Any:
    """Return what a piece of JSON says, None if it says nothing that can be read."""
    try:
        return read(text.encode()).value if text else None
    except ValueError:
        return None


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


def moment_text(moment_us: int) -> str:
    """Return a moment (microseconds since 1970) as the provider's filters take it.

    A clock may show anything; what no calendar has is the first or the last moment that it has.
    """
    moment_us = min(max(moment_us, _CALENDAR_US[0]), _CALENDAR_US[1])
    moment = datetime.fromtimestamp(moment_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment_us % 1_000_000:06}Z"
