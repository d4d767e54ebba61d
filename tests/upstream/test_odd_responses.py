"""Responses as no honest server writes them: an error of the transport, within bounds, or a whole
response; and what came too much is never the response to somebody else's request."""

import asyncio
import gzip
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gateway.bytebudget import ByteBudget
from gateway.upstream.transport import (
    RESPONSE_BYTES_MAX,
    HttpRequest,
    HttpResponse,
    NoRoomError,
    NotSentError,
    OversizeError,
    UnansweredError,
)
from gateway.upstream.transports.intake import UNCOUNTED_BYTES
from gateway.upstream.transports.pyreqwest_transport import PyreqwestTransport
from tests.harness.hostile import read_request
from tests.harness.loop import LoopThread

GOOD = b'{"data": {"id": "c1", "name": "n"}}'
SIZE = str(len(GOOD)).encode()

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def response(*lines: bytes, status: bytes = b"200 OK", body: bytes = GOOD) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"", body))


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


async def asked(
    serve: Serve, requests: int = 1, pause: float = 0, within_s: float = 5.0, **settings: Any
) -> tuple[list[HttpResponse | Exception], int]:
    """What one transport makes of requests in a row, and how many connections it took."""
    connections = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the transport has hung up, as it may
        finally:
            writer.close()

    server = await asyncio.start_server(counted, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = PyreqwestTransport(2, **settings)
    found: list[HttpResponse | Exception] = []
    for number in range(requests):
        request = HttpRequest("POST", f"http://127.0.0.1:{port}/{number}", {"a": "b"}, b"{}")
        try:
            found.append(await transport.send(request, within_s))
        except Exception as error:
            found.append(error)
        await asyncio.sleep(pause)
    await transport.close()
    server.close()
    return found, connections


def written(data: bytes, *, again: bool = False, close: bool = False) -> Serve:
    """Answer each request with these bytes; `again` goes on with the last 1,020 bytes for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(data)
            await writer.drain()
            while again:
                writer.write(data[-1_020:] * 64)
                await writer.drain()
                await asyncio.sleep(0)
            if close:
                return

    return serve


def only(loop: LoopThread, serve: Serve, **settings: Any) -> Any:
    (found,), _ = loop.run(asked(serve, **settings))
    return found


@pytest.mark.parametrize(
    "data",
    [
        response(b"content-length: " + SIZE),
        response(b"content-length: " + SIZE + b", " + SIZE),
        response(b"content-length: " + SIZE, b"content-length: " + SIZE),
        response(b"transfer-encoding: chunked", body=chunks(GOOD)),
        response(b"transfer-encoding: chunked", body=chunks(*(bytes([it]) for it in GOOD))),
        response(b"transfer-encoding: chunked", b"content-length: 3", body=chunks(GOOD)),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + response(b"content-length: " + SIZE),
        response(*(b"x%d: y" % it for it in range(90)), b"content-length: " + SIZE),
        response(b"x: " + b"y" * 20_000, b"content-length: " + SIZE),
    ],
)
def test_a_response_that_is_only_unusual_is_read(loop: LoopThread, data: bytes) -> None:
    assert only(loop, written(data)).body == GOOD


@pytest.mark.parametrize(
    "data",
    [
        response(b"content-length: " + SIZE + b", 36"),
        response(b"content-length: " + SIZE, b"content-length: 36"),
        *(
            response(b"content-length: " + length)
            for length in (b"-5", b"+35", b"3_5", b"", b"9" * 30, b"0x23", "٣٥".encode())
        ),
        response(b"transfer-encoding: chunked", body=b"f" * 17 + b"\r\n" + GOOD),
        response(b"transfer-encoding: chunked", body=b"-1\r\n" + GOOD),
        response(b"transfer-encoding: chunked", body=b"ZZ\r\n" + GOOD),
        response(b"x: a\0b", b"content-length: " + SIZE),
        response(b"no colon", b"content-length: " + SIZE),
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"",
    ],
)
def test_a_response_that_is_none_is_an_error_of_the_transport(
    loop: LoopThread, data: bytes
) -> None:
    assert isinstance(only(loop, written(data, close=True)), UnansweredError)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        response(b"x: ", body=b"")[:-4] + b"y" * 2_048,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1_024,
        b"HTTP/1.1 200 " + b"y" * 2_048,
        response(b"transfer-encoding: chunked", body=b"1;" + b"x" * 2_048),
        response(b"transfer-encoding: chunked", body=b"0\r\n" + b"x: y\r\n" * 1_024),
        response(b"transfer-encoding: chunked", body=b"1\r\n \r\n" * 1_024),
        response(b"a: b", body=b" " * 2_048),
    ],
    ids=["header", "headers", "status line", "chunk extension", "trailers", "bytes", "body"],
)
def test_what_never_ends_is_not_read_for_ever(loop: LoopThread, data: bytes) -> None:
    # Several times what it takes on a machine that does other things.
    found = only(loop, written(data, again=True), within_s=20.0)

    assert isinstance(found, OversizeError | UnansweredError)
    assert "in time" not in str(found)


def test_two_responses_at_once_are_never_given_to_the_next(loop: LoopThread) -> None:
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        while True:
            await read_request(reader)
            served += 1
            own, stray = (response(b"content-length: 2", body=b"%02d" % it) for it in (served, 99))
            writer.write(own + stray)
            await writer.drain()

    found, _ = loop.run(asked(serve, requests=8))

    assert [it.body for it in found if isinstance(it, HttpResponse)] == [
        b"%02d" % it for it in range(1, 9)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("stray", [b"x", response(b"content-length: 2", body=b"99")])
def test_what_comes_between_two_requests_ends_the_connection(
    loop: LoopThread, stray: bytes
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(response(b"content-length: " + SIZE))
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(stray)
            await writer.drain()

    found, connections = loop.run(asked(serve, requests=4, pause=0.1))

    assert [it.body for it in found if isinstance(it, HttpResponse)] == [GOOD] * 4
    assert connections == 4


def test_what_an_honest_provider_sends_keeps_its_connection(loop: LoopThread) -> None:
    for data in (
        response(b"content-length: " + SIZE),
        response(b"transfer-encoding: chunked", body=chunks(GOOD)),
        response(status=b"204 No Content", body=b""),
    ):
        found, connections = loop.run(asked(written(data), requests=20))
        assert all(isinstance(it, HttpResponse) for it in found)
        # A connection is given back by a thread of pyreqwest's: a request that is quicker opens
        # another one. One that is not kept at all makes twenty.
        assert connections <= 3


@pytest.mark.slow
def test_a_bomb_in_a_bomb_is_not_unpacked(loop: LoopThread) -> None:
    bomb = gzip.compress(gzip.compress(b" " * 64 * RESPONSE_BYTES_MAX))
    lines = [b"content-encoding: gzip, gzip", b"content-length: %d" % len(bomb)]

    assert isinstance(only(loop, written(response(*lines, body=bomb))), OversizeError)


def test_a_large_response_takes_room_and_gives_it_back(loop: LoopThread) -> None:
    body = b"x" * (UNCOUNTED_BYTES + 1_000)
    plain = response(b"content-length: %d" % len(body), body=body)
    in_chunks = response(b"transfer-encoding: chunked", body=chunks(body[:70_000], body[70_000:]))
    for data in (plain, in_chunks):
        budget = ByteBudget(1_000)
        assert only(loop, written(data), budget=budget).body == body
        assert (budget.held, budget.refused) == (0, 0)

        budget = ByteBudget(999)
        found = only(loop, written(data), budget=budget)
        # It may have run, and is not known to have: this is no refusal to send.
        assert isinstance(found, NoRoomError)
        assert not isinstance(found, NotSentError)
        assert (budget.held, budget.refused) == (0, 1)


def test_a_small_response_needs_no_room(loop: LoopThread) -> None:
    found = only(loop, written(response(b"content-length: " + SIZE)), budget=ByteBudget(0))
    assert found.body == GOOD
