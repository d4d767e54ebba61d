"""What the server has its connections keep to, over real sockets."""

from collections.abc import Callable, Iterator

import pytest

from gateway import process
from gateway.server.http import server, slots
from tests.harness.loop import LoopThread
from tests.harness.readiness import until
from tests.harness.wire import parsed, request
from tests.http.serving import Serving, read_to_the_end

REQUEST = request(b"whole", [])
LARGE_BYTES = 16 * 2**20

Serve = Callable[[], Serving]


@pytest.fixture
def serve(loop: LoopThread) -> Iterator[Serve]:
    """Starts a server; its bounds are read then."""
    started: list[Serving] = []

    def serve() -> Serving:
        started.append(Serving(loop))
        return started[-1]

    yield serve
    for serving in started:
        loop.run(serving.server.stop(0))


@pytest.mark.parametrize("bound", ["all", "descriptors"])
def test_so_many_connections_are_open_and_a_new_one_takes_the_place_of_one(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    if bound == "all":
        monkeypatch.setattr(slots, "CONNECTIONS_MAX", 4)
    else:
        monkeypatch.setattr(process, "descriptors_max", lambda: 10)
    serving = serve()
    silent = [serving.connect() for _ in range(4)]
    for connection in silent[1:]:
        connection.sendall(REQUEST)
        assert connection.recv(65_536)

    new = serving.connect()
    new.sendall(REQUEST)

    assert new.recv(65_536).startswith(b"HTTP/1.1 200 ")
    (told,), _ = parsed(read_to_the_end(silent[0]))
    assert (told.status, told.reason) == (503, "TOO_MANY_CONNECTIONS")
    assert serving.refused == ["TOO_MANY_CONNECTIONS"]
    for connection in (*silent, new):
        connection.close()


@pytest.mark.parametrize("requests", [1, 2])
def test_who_does_not_read_its_response_gives_way_and_is_cut_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    """The response to a second request waits in the application for that to the first."""
    monkeypatch.setattr(slots, "CONNECTIONS_MAX", 4)
    serving = serve()
    # More than the buffers on the way take.
    serving.app.body = bytes(LARGE_BYTES)
    deaf = [serving.connect() for _ in range(4)]
    for connection in deaf:
        connection.sendall(REQUEST * requests)
        for _ in range(requests):
            assert serving.app.begun.acquire(timeout=20)
    serving.app.body = b"ok"

    def is_served() -> bool:
        with serving.connect() as new:
            new.sendall(REQUEST)
            return read_to_the_end(new, 15).startswith(b"HTTP/1.1 200 ")

    until(is_served)

    assert set(serving.refused) == {"TOO_MANY_CONNECTIONS"}
    # Nothing waits for it any more: not even that it reads, as a close would.
    assert len(read_to_the_end(deaf[0])) < LARGE_BYTES
    for connection in deaf:
        connection.close()


def test_a_connection_that_has_been_idle_for_so_long_is_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE_S", 0)
    with serve().connect() as connection:
        connection.sendall(REQUEST)

        (response,), rest = parsed(read_to_the_end(connection))

        assert (response.status, rest) == (200, b"")
