"""Restarts: what is counted as a pause, how streams may end, and webhooks that go elsewhere."""

import asyncio
from array import array
from collections.abc import Callable
from contextlib import suppress

import pytest

from bench.contestants.contestant import CheckError
from bench.feed.jetstream.provider import Provider
from bench.feed.jetstream.travelling import longest, status_in
from bench.feed.known import KnownLog
from bench.feed.webhooks import Postings

_REFUSED = b"HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\nno"
_PREPARED = 200
_STORED = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def test_the_longest_pause_begins_and_ends_within_what_is_looked_at() -> None:
    marks = array("d", [it for at in (1.0, 2.0, 2.5, 6.0) for it in (at, 0.0, 1.0)])

    assert longest(marks, 1.5, 5.0) == 2.5
    assert longest(marks, 0.0, 6.5) == 3.5
    assert longest(marks, 6.0, 9.0) == 3.0


@pytest.mark.parametrize("status", ["0", "14"])
def test_the_status_of_a_stream_is_read_from_its_trailers(status: str) -> None:
    assert status_in(b"\x40\x0bgrpc-status" + bytes([len(status)]) + status.encode()) == status


@pytest.mark.parametrize("came", [[1, 4], [1, 4, 7, 7], [1, 4, 6, 7], [1, 4, 10]])
def test_a_conference_has_each_of_its_own_events_once(came: list[int]) -> None:
    """It has every third one, from the second on."""
    whole, other = (KnownLog(Postings(3), dense=False) for _ in range(2))
    whole.numbers.extend([1, 4, 7])
    other.numbers.extend(came)

    whole.check_complete(1, 8, 3)
    with pytest.raises(CheckError, match="of 3 events posted"):
        other.check_complete(1, 8, 3)


def test_trailers_without_a_status_are_not_taken_for_one() -> None:
    assert status_in(b"\x88\x40\x01a\x01b") not in ("", "0", "14")


class Gateway:
    """Takes webhooks, and does with each what it is told."""

    def __init__(self, respond: Callable[[asyncio.StreamWriter], None]) -> None:
        self.taken: list[bytes] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._respond = respond

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                self.taken.append(await reader.readexactly(length))
                self._respond(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    async def close(self) -> None:
        for it in self._writers:
            it.close()
            with suppress(ConnectionError):
                await it.wait_closed()


async def _posted(enough: Callable[[], bool], *gateways: Gateway) -> dict[str, float]:
    servers = [await asyncio.start_server(it.serve, "127.0.0.1", 0) for it in gateways]
    provider = Provider()
    await provider.prepare(_PREPARED, 5)
    await provider.start([it.sockets[0].getsockname()[1] for it in servers], 1_000.0)
    try:
        while not enough():
            await provider.status()
    finally:
        done = await provider.stop()
        for server, gateway in zip(servers, gateways, strict=True):
            server.close()
            await gateway.close()
    return done


def test_each_webhook_is_stored_somewhere_whatever_one_gateway_does() -> None:
    answers = [lambda it: it.write(_REFUSED), lambda it: it.close(), lambda it: it.write(_STORED)]
    refuses, cuts, stores = (Gateway(it) for it in answers)

    async def run() -> dict[str, float]:
        return await _posted(lambda: len(stores.taken) >= 20, refuses, cuts, stores)

    done = asyncio.run(run())

    assert len(stores.taken) == len(set(stores.taken)) == done["posted"]
    assert refuses.taken
    assert cuts.taken
    assert done["again"] >= len(refuses.taken)


def test_webhooks_that_run_out_are_no_figure() -> None:
    stores = Gateway(lambda it: it.write(_STORED))

    with pytest.raises(CheckError, match="not enough"):
        asyncio.run(_posted(lambda: False, stores))

    assert len(stores.taken) == _PREPARED
