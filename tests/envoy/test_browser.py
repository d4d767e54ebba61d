"""A page in a real Chromium calls gateways behind a real Envoy, by `examples/grpc_web.js`."""

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from playwright.sync_api import Browser, Page

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import SubscribeRequest, SubscribeResponse
from conferencing.v1.queue_service_pb2 import GetQueueResponse
from tests.envoy.conftest import before
from tests.envoy.front import Front
from tests.harness.browser import chromium
from tests.harness.needs import with_tool
from tests.harness.pair import GET, Pair
from tests.harness.provider import Answer
from tests.harness.readiness import until
from tests.harness.webhooks import webhook

pytestmark = [with_tool("chromium"), with_tool("envoy"), pytest.mark.slow]

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCS = Path(__file__).parents[2] / "docs" / "clients.md"
GET_QUEUE = "conferencing.v1.QueueService/GetQueue"
SUBSCRIBE = "conferencing.v1.EventService/Subscribe"
# Whatever a page may send, so that the browser asks Envoy for all of it.
HEADERS = {
    "authorization": "Bearer a-token",
    "grpc-timeout": "20S",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "page=1",
    "x-request-id": "of-a-page",
    "x-user-agent": "a-page/1",
}

# What the page has seen is in `seen`, in order: messages in base64, and how the call has ended. It
# reads as `docs/clients.md` says.
PAGE = """<!doctype html><title>A page</title><link rel="icon" href="data:,">
<script type="module">
%s
window.seen = [];
window.make = async (server, method, request, headers) => {
  const text = (bytes) => btoa(String.fromCharCode(...bytes));
  const show = (it) => {
    if (it === "end") seen.push(["end"]);
    else if (it instanceof RpcError) {
      seen.push(["failed", it.code, it.message, text(it.details), it.requestId]);
    } else seen.push(["message", text(it)]);
  };
  const bytes = Uint8Array.from(atob(request), (it) => it.charCodeAt(0));
  try {
    await read(server, method, bytes, headers, show);
  } catch (error) {
    seen.push([error.name]);
  }
};
window.loaded = true;
</script>"""


def page_html() -> str:
    block: str
    (block,) = re.findall(r"^```js\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    return PAGE % block


@dataclass
class Caller:
    """The page, as the test drives it."""

    page: Page
    front: Front

    def call(self, method: str, request: Message, headers: dict[str, str] | None = None) -> None:
        """Begin a call; what comes of it is seen later."""
        body = base64.b64encode(request.SerializeToString()).decode()
        # Nothing is returned: the page would be waited for.
        self.page.evaluate(
            "it => { seen.length = 0; make(...it); }",
            [f"http://{self.front.address}", method, body, headers or {}],
        )

    def sees(self, count: int) -> list[Any]:
        """Wait until the page has seen so much, and return all that it has seen."""
        self.page.wait_for_function("n => seen.length >= n", arg=count, timeout=20_000)
        seen: list[Any] = self.page.evaluate("seen")
        return seen


class _Pages(SimpleHTTPRequestHandler):
    """Serves the page, and the examples beside it."""

    # What Windows' registry and the like say of these is not asked.
    extensions_map = {".js": "text/javascript"}  # noqa: RUF012 - the base class has it so

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(page_html().encode())

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def pages() -> Iterator[int]:
    """The port on this host that serves the page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(EXAMPLES)))
    with closing(server.socket):
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def front(pair: Pair, pages: int, tmp_path: Path) -> Iterator[Front]:
    """Envoy, for the origin of our page in place of the one in the file."""

    def change(text: str) -> str:
        assert "https://console.example" in text
        return text.replace("https://console.example", f"http://127.0.0.1:{pages}")

    with before(pair, tmp_path, change) as front:
        yield front


def opened(browser: Browser, front: Front, url: str) -> Caller:
    page = browser.new_page()
    page.goto(url)
    page.wait_for_function("window.loaded")
    return Caller(page, front)


@pytest.fixture
def caller(browser: Browser, front: Front, pages: int) -> Iterator[Caller]:
    caller = opened(browser, front, f"http://127.0.0.1:{pages}/")
    yield caller
    caller.page.close()


def unpacked(seen: Any, kind: Any) -> Any:
    name, data = seen
    assert name == "message"
    return kind.FromString(base64.b64decode(data))


def events_of(seen: list[Any]) -> list[Event]:
    return [event for it in seen for event in unpacked(it, SubscribeResponse).events]


def test_a_page_gets_the_response_of_a_call(pair: Pair, caller: Caller) -> None:
    caller.call(GET_QUEUE, GET, HEADERS)
    message, end = caller.sees(2)

    assert unpacked(message, GetQueueResponse).queue.name == "q"
    assert end == ["end"]
    (request,) = [request for it in pair.providers for request in it.requests]
    assert request.headers["x-request-id"] == "of-a-page"


def test_a_page_gets_an_error_with_its_status_words_and_details(pair: Pair, caller: Caller) -> None:
    # Beyond ASCII and with a percent sign: the words are encoded on the way.
    answer = Answer(404, {"errors": [{"code": "10005", "detail": "keine Schlange für 100 %"}]})
    for provider in pair.providers:
        provider.answer = answer

    caller.call(GET_QUEUE, GET, HEADERS)
    ((failed, code, message, details, request_id),) = caller.sees(1)

    assert (failed, code) == ("failed", grpc.StatusCode.NOT_FOUND.value[0])
    assert message == "GetQueue: keine Schlange für 100 %"
    status = status_pb2.Status.FromString(base64.b64decode(details))
    assert (status.code, status.message) == (code, message)
    info = error_details_pb2.ErrorInfo()
    assert any(it.Unpack(info) for it in status.details)
    assert info.reason == "NOT_FOUND"
    assert request_id == "of-a-page"


def test_a_page_sees_the_events_of_a_stream_one_by_one(pair: Pair, caller: Caller) -> None:
    caller.call(SUBSCRIBE, SubscribeRequest())
    assert events_of(caller.sees(1)) == []

    for number in range(1, 4):
        # Each gateway has a log of its own, and one of them has the stream.
        for gateway in pair.gateways:
            assert gateway.webhooks.post(webhook(id_=f"event-{number}")).status == 200
        seen = caller.sees(1 + number)
        assert [it.id for it in events_of(seen)] == [f"event-{it}" for it in range(1, number + 1)]

    for gateway in pair.gateways:
        gateway.stop()
    *_, last, end = caller.sees(6)
    assert unpacked(last, SubscribeResponse).HasField("drain")
    assert end == ["end"]


def test_a_stream_ends_when_its_page_is_left(pair: Pair, caller: Caller) -> None:
    def streams() -> float:
        open_ = r'^gateway_feed_subscribers{caller=""} (\S+)$'
        pages = [gateway.metrics() for gateway in pair.gateways]
        return sum(float(it) for page in pages for it in re.findall(open_, page, re.MULTILINE))

    caller.call(SUBSCRIBE, SubscribeRequest())
    caller.sees(1)
    until(lambda: streams() == 1)

    caller.page.goto("about:blank")
    until(lambda: streams() == 0)


def test_a_page_of_another_origin_is_not_let_in(
    pair: Pair, browser: Browser, front: Front, pages: int
) -> None:
    caller = opened(browser, front, f"http://localhost:{pages}/")
    caller.call(GET_QUEUE, GET, HEADERS)

    assert caller.sees(1) == [["TypeError"]]
    assert pair.taken() == [0, 0]
    caller.page.close()
