"""The provider's time, read from its responses."""

import pytest

from gateway.upstream.transport import HttpRequest, HttpResponse
from gateway.upstream.transports.provider_time import DatedTransport
from tests.harness.loop import LoopThread

REQUEST = HttpRequest("GET", "https://provider.example/", {})
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
SECONDS = 784_111_777.0


class Canned:
    def __init__(self, response: HttpResponse) -> None:
        self.response = response
        self.closed = False

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        return self.response

    def end(self, request: HttpRequest) -> None:
        pass

    async def close(self) -> None:
        self.closed = True


def told(loop: LoopThread, status: int, headers: dict[str, str]) -> list[float]:
    times: list[float] = []
    response = HttpResponse(status, headers, b"")
    transport = DatedTransport(Canned(response), times.append)
    assert loop.run(transport.send(REQUEST, 1)) is response
    return times


@pytest.mark.parametrize("status", [200, 404, 422, 429])
def test_every_response_of_the_provider_tells_its_time(loop: LoopThread, status: int) -> None:
    assert told(loop, status, {"date": DATE}) == [SECONDS]


@pytest.mark.parametrize(
    "text",
    ["", "now", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 99999999999 08:49:37 GMT", "\ufffd"],
)
def test_a_date_that_is_none_tells_nothing(loop: LoopThread, text: str) -> None:
    assert told(loop, 200, {"date": text}) == []
    assert told(loop, 200, {}) == []


def test_proxies_and_caches_tell_nothing(loop: LoopThread) -> None:
    assert told(loop, 502, {"date": DATE}) == []
    assert told(loop, 200, {"date": DATE, "age": "86400"}) == []


def test_a_second_is_told_once(loop: LoopThread) -> None:
    times: list[float] = []
    canned = Canned(HttpResponse(200, {"date": DATE}, b""))
    transport = DatedTransport(canned, times.append)

    for text in (DATE, DATE, DATE.replace(":37", ":38"), DATE):
        canned.response = HttpResponse(200, {"date": text}, b"")
        loop.run(transport.send(REQUEST, 1))

    assert times == [SECONDS, SECONDS + 1, SECONDS]


def test_closing_closes_what_is_below(loop: LoopThread) -> None:
    canned = Canned(HttpResponse(200, {}, b""))

    loop.run(DatedTransport(canned, lambda seconds: None).close())

    assert canned.closed
