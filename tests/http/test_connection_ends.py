"""How a connection ends, over real sockets and on both event loops."""

import asyncio
import socket
from collections.abc import Iterator

import pytest
import uvloop

from tests.harness.log_lines import warnings
from tests.harness.loop import LoopThread
from tests.harness.wire import parsed, request
from tests.http.serving import Serving, read_to_the_end

TIMES = 50

WHOLE = request(b"whole", [])


# More than the system holds of what nobody reads.
MUCH = b"x" * 2**24


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def either_loop(request: pytest.FixtureRequest) -> Iterator[LoopThread]:
    loop = LoopThread(request.param)
    yield loop
    loop.close()


@pytest.fixture
def serving(either_loop: LoopThread) -> Iterator[Serving]:
    serving = Serving(either_loop)
    yield serving
    either_loop.run(serving.server.stop(0))


@pytest.mark.slow
@pytest.mark.parametrize("requests", [1, 3])
def test_who_closes_its_side_after_its_requests_gets_their_responses(
    serving: Serving, requests: int
) -> None:
    for _ in range(TIMES):
        with serving.connect() as connection:
            connection.sendall(WHOLE * requests)
            connection.shutdown(socket.SHUT_WR)

            responses, rest = parsed(read_to_the_end(connection))

        assert [it.status for it in responses] == [200] * requests
        assert rest == b""


@pytest.mark.slow
def test_who_closes_its_side_amid_a_request_gets_the_responses_to_those_before_it(
    serving: Serving,
) -> None:
    for _ in range(TIMES):
        with serving.connect() as connection:
            connection.sendall(WHOLE + WHOLE[:-1])
            connection.shutdown(socket.SHUT_WR)

            responses, rest = parsed(read_to_the_end(connection))

        assert [it.status for it in responses] == [200]
        assert rest == b""


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", ["the sender", "the shutdown"])
def test_a_connection_that_ends_before_its_responses_are_read_leaves_no_trace(
    serving: Serving,
    either_loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
    ended_by: str,
) -> None:
    serving.app.body = MUCH
    with serving.connect() as connection:
        connection.sendall(WHOLE * 8)
        # The second response waits for the first to be taken, the others for the second.
        for _ in range(2):
            assert serving.app.begun.acquire(timeout=20)
        if ended_by == "the shutdown":
            either_loop.run(serving.server.stop(0))
    either_loop.run(serving.server.stop(10))

    told = warnings(caplog)
    dropped = ["the shutdown drops 1 HTTP connections"]
    assert told == (dropped if ended_by == "the shutdown" else [])
    assert not [it for it in caplog.records if it.exc_info]
