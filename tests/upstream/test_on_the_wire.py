"""What really goes over the wire: ids byte for byte, long addresses, codings."""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Iterator
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.schema.path import URL_BYTES_MAX, PathTemplate, no_segment
from gateway.upstream.transport import HttpRequest
from gateway.upstream.transports.pyreqwest_transport import PyreqwestTransport
from tests.conftest import StartGateway
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.hostile import HostileServer, json_answer, raw
from tests.harness.loop import LoopThread

pytestmark = pytest.mark.slow

Code = grpc.StatusCode

QUEUE = b'{"data": {"id": "q1", "name": "support"}}'


class Recorder:
    """Answers everything with the same bytes, and keeps the heads of requests as they came."""

    def __init__(self, loop: LoopThread, answer: bytes = json_answer(QUEUE)) -> None:
        self.heads: list[bytes] = []
        self._answer = answer
        self.server = HostileServer(loop, self._behave)

    async def _behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += await reader.readline()
            if not head:
                return
        self.heads.append(head)
        writer.write(self._answer)
        await writer.drain()

    @property
    def lines(self) -> list[bytes]:
        return [head.split(b"\r\n", 1)[0] for head in self.heads]


@pytest.fixture(scope="module")
def recorder(loop: LoopThread) -> Iterator[Recorder]:
    recording = Recorder(loop)
    yield recording
    recording.server.close()


def test_every_id_is_written_as_one_segment_byte_for_byte(
    loop: LoopThread, recorder: Recorder
) -> None:
    path = PathTemplate.compile("/queues/{queue_name}/calls")

    async def sent(name: str) -> bytes:
        transport = PyreqwestTransport()
        recorder.heads.clear()
        url = recorder.server.base_url + path.render(q.GetQueueRequest(queue_name=name))
        await transport.send(HttpRequest("GET", url, {}), 20)
        await transport.close()
        return recorder.lines[0]

    @settings(max_examples=60, deadline=None)
    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
    @example("..;")
    @example("%2e%2e")
    @example(".%2e")
    @example("..%2f")
    @example("a/../b")
    @example("a\\..\\b")
    @example("Süd")
    @example("客服")
    @example("a?b#c")
    @example("\x01\n\x7f")
    @example("\ufeff\u202e")
    def check(name: str) -> None:
        if no_segment(name) is not None:
            return
        # The same characters as the official SDK leaves.
        segment = quote(name, safe="!$&'()*+,;=:@")
        assert loop.run(sent(name)) == f"GET /v2/queues/{segment}/calls HTTP/1.1".encode()

    check()


@pytest.fixture
def serving(
    loop: LoopThread, start_gateway: StartGateway
) -> Iterator[Callable[[bytes], RunningGateway]]:
    servers: list[HostileServer] = []

    def start(answer: bytes) -> RunningGateway:
        servers.append(HostileServer(loop, raw(answer)))
        return start_gateway(servers[-1].base_url)

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("over", [0, 1, 480])
def test_the_longest_address_is_sent_and_a_longer_one_refused_at_once(
    loop: LoopThread, start_gateway: StartGateway, over: int
) -> None:
    recording = Recorder(loop, json_answer(b'{"data": []}'))
    gateway = start_gateway(recording.server.base_url)
    request = c.ListConferencesRequest()
    room = URL_BYTES_MAX - len("/conferences?filter%5Bfrom%5D=")
    request.filter.caller = "x" * (room + over)
    recording.heads.clear()  # the gateway looks at its key by itself
    try:
        if not over:
            gateway.conferences.ListConferences(request, timeout=20)
            assert any(b"filter%5Bfrom%5D=xxx" in line for line in recording.lines)
            return
        failure = failure_of(gateway.conferences.ListConferences, request)
        assert failure.code is Code.INVALID_ARGUMENT
        assert set(failure.violations) == {"filter.caller"}
        assert not any(b"/conferences" in line for line in recording.lines)
    finally:
        recording.server.close()


def test_no_coding_is_asked_for(loop: LoopThread, start_gateway: StartGateway) -> None:
    recording = Recorder(loop)
    gateway = start_gateway(recording.server.base_url)
    try:
        gateway.queues.GetQueue(q.GetQueueRequest(queue_name="support"), timeout=20)
    finally:
        recording.server.close()

    for head in recording.heads:
        assert b"\r\naccept-encoding: identity\r\n" in head.lower()
        assert head.lower().count(b"accept-encoding") == 1


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(QUEUE, mtime=0)),
        ("deflate", zlib.compress(QUEUE)),
        ("gzip, gzip", gzip.compress(gzip.compress(QUEUE, mtime=0), mtime=0)),
        ("identity", QUEUE),
    ],
)
def test_what_comes_compressed_all_the_same_is_read(
    serving: Callable[[bytes], RunningGateway], coding: str, body: bytes
) -> None:
    gateway = serving(json_answer(body, "200 OK", f"content-encoding: {coding}"))

    found = gateway.queues.GetQueue(q.GetQueueRequest(queue_name="support"), timeout=20)

    assert found.queue.id == "q1"


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_coding_that_is_not_read_is_named(
    serving: Callable[[bytes], RunningGateway], coding: str
) -> None:
    gateway = serving(json_answer(b"\x1b\x00\x00", "200 OK", f"content-encoding: {coding}"))

    heard = failure_of(
        gateway.conferences.PlayAudio, c.PlayAudioRequest(conference_id="c1", media_name="m")
    )

    assert (heard.code, heard.info.metadata["outcome"]) == (Code.UNKNOWN, "unknown")
    assert f"content encoding '{coding}'" in heard.message


def test_a_refusal_in_gzip_says_why(serving: Callable[[bytes], RunningGateway]) -> None:
    body = gzip.compress(b'{"errors": [{"code": "90018", "detail": "Has ended"}]}', mtime=0)
    gateway = serving(json_answer(body, "422 No", "content-encoding: gzip"))

    failure = failure_of(
        gateway.conferences.PlayAudio, c.PlayAudioRequest(conference_id="c1", media_name="m")
    )

    assert failure.code is Code.FAILED_PRECONDITION
    assert "Has ended" in failure.message


@pytest.mark.parametrize(
    "lines",
    [
        ("retry-after: 30", "retry-after: 60"),
        ("retry-after: 60", "x-other: 1", "Retry-After: 30"),
        ("retry-after: 30, 60",),
        ("x-name: caf\xe9", "retry-after: 60", "retry-after: 30"),
    ],
)
def test_of_the_waits_of_the_provider_and_a_proxy_the_longer_is_told(
    serving: Callable[[bytes], RunningGateway], lines: tuple[str, ...]
) -> None:
    gateway = serving(json_answer(b"{}", "503 Busy", *lines))

    failure = failure_of(gateway.queues.GetQueue, q.GetQueueRequest(queue_name="q"), timeout=5)

    assert failure.code is Code.UNAVAILABLE
    assert 30 < failure.detail(error_details_pb2.RetryInfo).retry_delay.seconds <= 60
