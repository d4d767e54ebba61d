"""A provider's log of webhooks, as bytes that a test writes, row by row."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.harness.provider import Answer, SentRequest

PATH = "/v2/webhook_deliveries"


class RawRow(NamedTuple):
    id: str
    started_at: float
    text: bytes


def row(id_: str, started_at: float, url: str, **more: Any) -> RawRow:
    """Return a row whose webhook is event `id_`; `more` replaces members by their text."""
    members = {
        "id": json.dumps(f"delivery-{id_}"),
        "started_at": json.dumps(datetime.fromtimestamp(started_at, UTC).isoformat()),
        "webhook": json.dumps(
            {"id": id_, "event_type": "conference.created", "payload": {"conference_id": "c"}}
        ),
        "attempts": json.dumps(
            [{"http": {"request": {"url": url, "headers": []}, "response": {"body": "ok"}}}]
        ),
        **more,
    }
    text = ", ".join(f"{json.dumps(name)}: {value}" for name, value in members.items())
    return RawRow(id_, started_at, b"{" + text.encode("utf-8", "surrogatepass") + b"}")


def logged(url: str, answer: str) -> str:
    """The attempts of a webhook whose logged answer is a JSON text."""
    return (
        f'[{{"http": {{"request": {{"url": {json.dumps(url)}}}, "response": {{"body": {answer}}}}},'
        ' "status": "delivered"}]'
    )


class RawDeliveries:
    """Answers `GET /webhook_deliveries`; `meta` writes what is said of the number of pages."""

    def __init__(self) -> None:
        self.rows: list[RawRow] = []
        self.poison: dict[str, Answer] = {}
        self.meta: Callable[[int, int], str] = lambda pages, rows: (
            f'{{"total_pages": {pages}, "total_results": {rows}}}'
        )
        self.requests: list[dict[str, str]] = []
        self.answers_nothing: Answer | None = None

    def __call__(self, request: SentRequest) -> Answer:
        if request.path != PATH:
            return Answer(body={"data": [], "meta": {"total_pages": 0, "total_results": 0}})
        self.requests.append(request.query)
        if self.answers_nothing is not None:
            return self.answers_nothing
        since = _seconds(request.query["filter[started_at][gte]"])
        until = _seconds(request.query["filter[started_at][lte]"])
        size = int(request.query["page[size]"])
        found = sorted(
            (it for it in list(self.rows) if since <= it.started_at <= until),
            key=lambda it: -it.started_at,
        )
        first = (int(request.query["page[number]"]) - 1) * size
        shown: Sequence[RawRow] = found[first : first + size]
        for it in shown:
            if it.id in self.poison:
                return self.poison[it.id]
        meta = self.meta(-(-len(found) // size), len(found))
        body = b'{"data": [' + b",".join(it.text for it in shown) + b"]"
        return Answer(body=body + (f', "meta": {meta}' if meta else "").encode() + b"}")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
