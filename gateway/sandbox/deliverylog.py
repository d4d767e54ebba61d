"""The record of every webhook and every attempt to deliver it."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from gateway.sandbox.clock import instant, timestamp
from gateway.sandbox.errors import NOT_FOUND, refusal
from gateway.sandbox.events import Event
from gateway.sandbox.posting import Reply

# The one account there is.
_ACCOUNT = "5f2c1d1e-0000-4000-8000-5a4db0c5e5b0"

# Characters of a receiver's response that the provider keeps.
_EXCERPT_CHARACTERS = 10_000

DeliveryStatus = Literal["delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at delivering. Times are real Unix seconds."""

    started_at: float
    finished_at: float
    delivered: bool
    url: str
    headers: tuple[tuple[str, str], ...]
    reply: Reply | None
    # The provider's code for why it failed: 10007 for a bad response, 10008 for none.
    error: int | None = None

    def view(self) -> dict[str, Any]:
        """Return it as the provider does."""
        reply = self.reply
        return {
            "errors": [] if self.error is None else [self.error],
            "finished_at": timestamp(self.finished_at),
            "http": {
                "request": {"headers": [list(pair) for pair in self.headers], "url": self.url},
                "response": None
                if reply is None
                else {
                    "body": reply.body[:_EXCERPT_CHARACTERS],
                    "headers": [list(pair) for pair in reply.headers],
                    "status": reply.status,
                },
            },
            "started_at": timestamp(self.started_at),
            "status": "delivered" if self.delivered else "failed",
        }


@dataclass(slots=True, eq=False)
class Delivery:
    """A webhook on its way, or at the end of it."""

    id: str
    event: Event
    attempts: list[Attempt] = field(default_factory=list)
    # When it was decided not to attempt at all, in real Unix seconds.
    given_up_at: float | None = None

    @property
    def delivered(self) -> bool:
        """Whether any attempt was taken."""
        return any(it.delivered for it in self.attempts)

    @property
    def status(self) -> DeliveryStatus:
        """`failed` as long as no attempt was taken, as the provider defines it."""
        return "delivered" if self.delivered else "failed"

    @property
    def started_at(self) -> float:
        """When the first attempt began, or was abandoned."""
        return self.attempts[0].started_at if self.attempts else self.given_up_at or 0.0

    @property
    def finished_at(self) -> float:
        """When the last attempt so far was over, or was abandoned."""
        return self.attempts[-1].finished_at if self.attempts else self.given_up_at or 0.0

    def view(self) -> dict[str, Any]:
        """Return it as the provider does, latest attempt first."""
        return {
            "id": self.id,
            "attempts": [it.view() for it in reversed(self.attempts)],
            "finished_at": timestamp(self.finished_at),
            "record_type": "webhook_delivery",
            "started_at": timestamp(self.started_at),
            "status": self.status,
            "user_id": _ACCOUNT,
            "webhook": self.event.data,
        }


class DeliveryLog:
    """The latest deliveries that have been attempted at least once, or abandoned.

    Times in it are real time, not sandbox time, because whoever asks for "everything since then"
    reads "then" from a clock of their own.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[str, Delivery] = OrderedDict()

    def note(self, delivery: Delivery) -> None:
        """Enter a delivery, once; the oldest is forgotten when there are too many."""
        self._entries.setdefault(delivery.id, delivery)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def get(self, delivery_id: str) -> Delivery:
        """Return a delivery. Raises RefusedError if the id is unknown."""
        if delivery_id not in self._entries:
            raise refusal(NOT_FOUND, f"There is no webhook delivery '{delivery_id}'.")
        return self._entries[delivery_id]

    def select(self, query: Mapping[str, Any]) -> list[Delivery]:
        """Return the entries that pass the filters of a list request, newest first."""
        return [it for it in reversed(self._entries.values()) if _passes(it, query)]


def _passes(delivery: Delivery, query: Mapping[str, Any]) -> bool:
    status = query.get("filter[status][eq]")
    types = query.get("filter[event_type]")
    if status is not None and delivery.status != status:
        return False
    if types is not None and delivery.event.type not in types.split(","):
        return False
    for name, at in (("started_at", delivery.started_at), ("finished_at", delivery.finished_at)):
        # Compared as written in responses, so that a time copied from one finds its delivery.
        value = instant(timestamp(at))
        least, most = query.get(f"filter[{name}][gte]"), query.get(f"filter[{name}][lte]")
        if least is not None and value < instant(least):
            return False
        if most is not None and value > instant(most):
            return False
    attempts = query.get("filter[attempts][contains]")
    if attempts is not None and attempts not in _text([a.view() for a in delivery.attempts]):
        return False
    webhook = query.get("filter[webhook][contains]")
    return webhook is None or webhook in _text(delivery.event.data)


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
