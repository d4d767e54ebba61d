"""Conferences as the gateway itself asks for them: requests, retries and failures."""

import random
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from conferencing.v1.conference_service_pb2 import GetConferenceRequest, ListParticipantsRequest
from gateway.deadline import Deadline
from gateway.upstream.client import TelnyxClient
from gateway.upstream.conferences import RestConferences
from gateway.upstream.sending.exchange import Sending
from gateway.upstream.sending.limit import LimitedTransport
from gateway.upstream.sending.retry import RetryBudget, RetryPolicy
from gateway.upstream.transport import HttpRequest, HttpResponse
from tests.harness.virtual_time import run_in_virtual_time, virtual_now

JSON = {"content-type": "application/json"}
BUSY = HttpResponse(503, JSON, b"{}")


class ListedResponses:
    """A transport with responses to give, the last of them for ever."""

    def __init__(self, *responses: HttpResponse) -> None:
        self.asked: list[str] = []
        self._responses = list(responses)

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        self.asked.append(f"{request.method} {request.url.removeprefix('http://provider/v2')}")
        return self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]

    def end(self, request: HttpRequest) -> None:
        pass

    async def close(self) -> None:
        pass


def response(data: Any, **meta: int) -> HttpResponse:
    return HttpResponse(200, JSON, orjson.dumps({"data": data, **({"meta": meta} if meta else {})}))


def run(
    transport: ListedResponses, story: Callable[[RestConferences, Deadline], Awaitable[Any]]
) -> Any:
    async def call() -> Any:
        limited = LimitedTransport(transport, now=virtual_now)
        sending = Sending(
            limited,
            RetryPolicy(),
            RetryBudget(),
            random.Random(1),
            lambda attempt: None,
            now=virtual_now,
        )
        client = TelnyxClient(sending, "http://provider/v2", "KEY", "test")
        return await story(RestConferences(client), Deadline.after(10, now=virtual_now))

    return run_in_virtual_time(call())


def test_a_conference_is_read() -> None:
    transport = ListedResponses(response({"id": "c1", "name": "Weekly"}))
    retries: list[int] = []

    got = run(
        transport,
        lambda rest, deadline: rest.conference(
            GetConferenceRequest(conference_id="c1"), deadline, retries.append
        ),
    )

    assert got.conference.name == "Weekly"
    assert transport.asked == ["GET /conferences/c1"]
    assert retries == [0]


def test_participants_are_read_page_by_page() -> None:
    pages = [
        response([{"id": f"p{it}"}], page_number=it, page_size=1, total_pages=2, total_results=2)
        for it in (1, 2)
    ]
    transport = ListedResponses(*pages)
    request = ListParticipantsRequest(conference_id="c1", page_size=1)

    async def story(rest: RestConferences, deadline: Deadline) -> list[str]:
        first = await rest.participants(request, deadline, lambda count: None)
        request.page_token = first.next_page_token
        second = await rest.participants(request, deadline, lambda count: None)
        assert second.next_page_token == ""
        return [it.id for page in (first, second) for it in page.participants]

    assert run(transport, story) == ["p1", "p2"]
    assert all(it.startswith("GET /conferences/c1/participants?") for it in transport.asked)


@pytest.mark.parametrize("recovers", [True, False])
def test_what_was_sent_again_is_told_whether_or_not_it_helped(recovers: bool) -> None:
    last = response({"id": "c1"}) if recovers else BUSY
    transport = ListedResponses(BUSY, BUSY, last)
    retries: list[int] = []

    async def story(rest: RestConferences, deadline: Deadline) -> bool:
        try:
            await rest.conference(
                GetConferenceRequest(conference_id="c1"), deadline, retries.append
            )
        except rest.failures:
            return False
        return True

    assert run(transport, story) is recovers
    assert retries == [len(transport.asked) - 1]
    assert retries[0] >= 2


def test_a_request_that_cannot_be_sent_is_a_failure_too() -> None:
    transport = ListedResponses(BUSY)

    async def story(rest: RestConferences, deadline: Deadline) -> None:
        with pytest.raises(rest.failures):
            await rest.conference(GetConferenceRequest(), deadline, lambda count: None)

    run(transport, story)
    assert transport.asked == []
