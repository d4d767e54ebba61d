"""A provider's delivery log in memory, as backfill asks for it."""

import json
from collections.abc import Callable
from dataclasses import replace

from gateway.upstream.deliveries import DeliveriesPage, DeliveriesRequest, Delivery
from gateway.upstream.errors import UpstreamError

HERE = "https://gateway.example/webhooks/telnyx"


def delivery(
    number: int, started_at_us: int, urls: frozenset[str] | None = frozenset({HERE})
) -> Delivery:
    data = {
        "id": f"event-{number}",
        "event_type": "conference.participant.joined",
        "record_type": "event",
        "payload": {"conference_id": "conf-1"},
    }
    return Delivery(f"delivery-{number}", started_at_us, urls, json.dumps({"data": data}).encode())


class DeliveryLog:
    """Answers newest first, as the provider does, `page_size` on a page."""

    def __init__(self, page_size: int = 3) -> None:
        self.deliveries: list[Delivery] = []
        # Those that some address has accepted.
        self.delivered: set[str] = set()
        self.requests: list[DeliveriesRequest] = []
        self.failure: UpstreamError | None = None
        # What a page that holds one of these fails with.
        self.poison: dict[str, UpstreamError] = {}
        self.before_answer: Callable[[DeliveriesRequest], None] = lambda request: None
        self._page_size = page_size

    def add(self, number: int, started_at_us: int) -> None:
        self.deliveries.append(delivery(number, started_at_us))

    def rewrite(self, number: int, *, urls: frozenset[str] | None) -> None:
        self.deliveries[number] = replace(self.deliveries[number], urls=urls)

    async def page(self, request: DeliveriesRequest) -> DeliveriesPage:
        self.requests.append(request)
        self.before_answer(request)
        if self.failure is not None:
            raise self.failure
        found = [
            it
            for it in sorted(self.deliveries, key=lambda it: -it.started_at_us)
            if request.since_us <= it.started_at_us <= request.until_us
            and not (request.failed_only and it.id in self.delivered)
        ]
        size = min(self._page_size, request.size)
        pages = -(-len(found) // size)
        first = (request.page - 1) * size
        shown = found[first : first + size]
        for it in shown:
            if it.id in self.poison:
                raise self.poison[it.id]
        return DeliveriesPage(tuple(shown), pages if shown else 0)
