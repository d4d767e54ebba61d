"""A provider that misbehaves: always a clean status within the deadline, and bounded memory."""

import asyncio
import gzip
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator

import grpc
import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1.conference_service_pb2_grpc import ConferenceServiceStub
from gateway.upstream.transport import RESPONSE_BYTES_MAX
from tests.conftest import StartGateway
from tests.harness.gateway import Failure, RunningGateway, failure_of
from tests.harness.hostile import Behavior, HostileServer, json_answer, raw, read_request
from tests.harness.loop import LoopThread

pytestmark = pytest.mark.slow

Code = grpc.StatusCode

CREATE = c.CreateConferenceRequest(call_control_id="v3:a", name="n", command_id="mine")
DEADLINE_S = 2.0

LONG = (b"x" * 5_000, b"y" * 5_000)
GOOD = b'{"data": {"id": "c1", "name": "n"}}'

StartHostile = Callable[[Behavior], RunningGateway]


@pytest.fixture
def hostile(loop: LoopThread, start_gateway: StartGateway) -> Iterator[StartHostile]:
    servers: list[HostileServer] = []

    def start(behavior: Behavior) -> RunningGateway:
        servers.append(HostileServer(loop, behavior))
        return start_gateway(servers[-1].base_url)

    yield start
    for server in servers:
        server.close()


def failing(gateway: RunningGateway, timeout: float = DEADLINE_S) -> Failure:
    """The status of a call, which must come within its deadline."""
    began = time.monotonic()
    failure = failure_of(gateway.conferences.CreateConference, CREATE, timeout=timeout)
    assert time.monotonic() - began < timeout + 1
    assert failure.status is None or failure.info.reason != "GATEWAY_FAILURE"
    return failure


def test_the_hostile_server_can_be_kind(hostile: StartHostile) -> None:
    gateway = hostile(raw(json_answer(GOOD), close=False))

    for _ in range(3):
        answer = gateway.conferences.CreateConference(CREATE, timeout=DEADLINE_S)
        assert answer.conference.id == "c1"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        # Broken HTTP: nobody knows what became of the command, whose id the caller knows.
        (b"", Code.UNAVAILABLE),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Code.UNAVAILABLE),
        (b"HTTP/1.1 banana\r\n\r\n", Code.UNAVAILABLE),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nshort", Code.UNAVAILABLE),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}", Code.UNAVAILABLE),
        (b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}", Code.UNAVAILABLE),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n", Code.UNAVAILABLE),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", Code.UNAVAILABLE),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2_000_000, Code.UNAVAILABLE),
        (b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n", Code.UNAVAILABLE),
        # Answers that are whole, and not the provider's.
        (json_answer(b"<html>it works</html>"), Code.UNAVAILABLE),
        (json_answer(b""), Code.UNAVAILABLE),
        (json_answer(b"null"), Code.UNAVAILABLE),
        (json_answer(b"\xff\xfe\x00"), Code.UNAVAILABLE),
        (json_answer(b"[" * 100_000), Code.UNAVAILABLE),
        # Answers of the provider's, without what was asked for.
        (json_answer(b'{"data": NaN}'), Code.INTERNAL),
        (json_answer(b'{"data": [1, 2]}'), Code.INTERNAL),
        (json_answer(b"", "302 Found", "location: http://127.0.0.1:1/elsewhere"), Code.INTERNAL),
        (json_answer(b"", "307 Temporary Redirect", "location: /v2/conferences"), Code.INTERNAL),
        (json_answer(b"", "999 Odd"), Code.UNAVAILABLE),
        # Errors whose bodies are not the provider's.
        (json_answer(b"<html>Bad Gateway</html>", "502 Bad Gateway"), Code.UNAVAILABLE),
        (json_answer(b'{"errors": [{"code": {}}]}', "422 No"), Code.INVALID_ARGUMENT),
        (json_answer(b'{"errors": [[[]]]}', "404 No"), Code.NOT_FOUND),
        (
            json_answer(
                b'{"errors": ['
                + b'{"detail": "%s", "source": {"pointer": "/%s"}},'
                % (b"x" * 5_000, b"y" * 5_000)
                * 300
                + b"{}]}",
                "422 No",
            ),
            Code.INVALID_ARGUMENT,
        ),
    ],
)
def test_each_kind_of_nonsense_has_a_clean_status(
    hostile: StartHostile, answer: bytes, code: Code
) -> None:
    failure = failing(hostile(raw(answer)))

    assert failure.code is code, failure.message
    assert len(failure.message.encode()) < 1_024


@pytest.mark.parametrize(
    ("body", "unreadable"),
    [
        (b'{"data": {"id": "c1", "name": "\xff"}}', ["data.name"]),
        (b'{"data": {"id": "c1", "other": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}", []),
    ],
)
def test_one_value_that_cannot_be_read_does_not_cost_the_others(
    hostile: StartHostile, body: bytes, unreadable: list[str]
) -> None:
    gateway = hostile(raw(json_answer(body)))

    answer = gateway.conferences.CreateConference(CREATE, timeout=DEADLINE_S)

    assert answer.conference.id == "c1"
    assert [it.path for it in answer.unreadable.values] == unreadable


def test_no_redirect_is_followed(loop: LoopThread, hostile: StartHostile) -> None:
    followed = HostileServer(loop, raw(json_answer(GOOD)))
    try:
        location = f"location: {followed.base_url}/conferences"
        failing(hostile(raw(json_answer(b"", "308 Permanent Redirect", location))))
        assert followed.connections == 0
    finally:
        followed.close()


@pytest.mark.parametrize("when", ["at once", "in the headers", "in the body"])
def test_an_answer_that_stops_coming_ends_at_the_deadline(hostile: StartHostile, when: str) -> None:
    beginning = {
        "at once": b"",
        "in the headers": b"HTTP/1.1 200 OK\r\ncontent-le",
        "in the body": b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{",
    }[when]

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(beginning)
        await asyncio.Event().wait()

    assert failing(hostile(stall)).code in (Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE)


def test_an_answer_byte_by_byte_ends_at_the_deadline(hostile: StartHostile) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in json_answer(b" " * 10_000):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    assert failing(hostile(drip)).code in (Code.DEADLINE_EXCEEDED, Code.UNAVAILABLE)


def test_a_slow_answer_within_the_deadline_is_taken(hostile: StartHostile) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in json_answer(GOOD):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    answer = hostile(slow).conferences.CreateConference(CREATE, timeout=20)
    assert answer.conference.id == "c1"


def test_a_hundred_megabytes_are_not_held(hostile: StartHostile) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n")
        for _ in range(1_600):
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    gateway = hostile(flood)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    failure = failing(gateway, timeout=10)

    assert (failure.code, failure.info.reason) == (Code.INTERNAL, "UPSTREAM_UNREADABLE_RESPONSE")
    # The server runs in this process; its buffers count, too.
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib * 1024 < 6 * RESPONSE_BYTES_MAX
    assert sent < 100 * 1024 * 1024


def test_a_compressed_bomb_is_not_unpacked(hostile: StartHostile) -> None:
    bomb = gzip.compress(b" " * 200 * 1024 * 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    failure = failing(hostile(raw(json_answer(bomb, "200 OK", "content-encoding: gzip"))), 10)

    assert failure.code is Code.INTERNAL
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib * 1024 < 100 * 1024 * 1024


def test_a_stale_connection_is_no_failure(hostile: StartHostile) -> None:
    """The provider closes a kept connection just when the next request is written to it."""
    gateway = hostile(raw(json_answer(GOOD), close=True))

    for _ in range(50):
        answer = gateway.conferences.CreateConference(CREATE, timeout=DEADLINE_S)
        assert answer.conference.id == "c1"


def test_thousands_of_cancels_leave_everything_working(hostile: StartHostile) -> None:
    """At a higher concurrency than there are connections, in all stages of a request."""

    async def hesitate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            await asyncio.sleep(0.01)
            writer.write(json_answer(GOOD))
            await writer.drain()

    gateway = hostile(hesitate)
    ended: Counter[Code] = Counter()
    for wave in range(12):
        # Each on a connection of its own: one that gives up so many calls is held for a flood.
        with grpc.insecure_channel(
            str(gateway.app.grpc_address), [("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            create = ConferenceServiceStub(channel).CreateConference
            calls = [create.future(CREATE) for _ in range(250)]
            # Some waves die before they are sent, some in flight, some while they queue.
            calls[wave * 20].result()
            for call in calls:
                call.cancel()
            ended.update(call.code() for call in calls)

    # Of 3,000; on a slow machine more are answered before they are cancelled.
    assert ended[Code.CANCELLED] > 300
    assert set(ended) <= {Code.CANCELLED, Code.OK}
    for _ in range(200):
        answer = gateway.conferences.CreateConference(CREATE, timeout=10)
        assert answer.conference.id == "c1"
    # All at once: every connection of the pool must be usable.
    many = [gateway.conferences.CreateConference.future(CREATE, timeout=20) for _ in range(300)]
    assert all(call.result().conference.id == "c1" for call in many)
    _until(lambda: len(gateway.app.rules.in_flight) == 0)


def _until(condition: Callable[[], bool], timeout: float = 10) -> None:
    ends = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)
