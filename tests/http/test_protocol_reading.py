"""How much is read of a request, and how many connections are looked at, before it is refused."""

import asyncio
import socket
from typing import Any

import uvloop

from gateway.server.http.incoming import (
    BODY_READ_BYTES,
    HEAD_READ_BYTES,
    BufferedReading,
    ReadBuffer,
)
from gateway.server.http.slots import ConnectionSlots
from tests.http.stage import HEAD, Stage, Wire, staged

LARGE = b"content-length: 500000\r\n"


def room(wire: Wire) -> int:
    """Return how many bytes the connection would read at once."""
    return len(reading(wire).get_buffer(-1))


def reading(wire: Wire) -> BufferedReading:
    """Return what stands before the protocol in a server."""
    assert wire.protocol is not None
    return BufferedReading(wire.protocol, ReadBuffer())  # type: ignore[arg-type]


@staged
async def test_what_is_read_is_what_has_come(stage: Stage) -> None:
    wire = stage.connect()
    protocol = reading(wire)
    sent = stage.signed()
    for piece in (sent[:100], sent[100:]):
        buffer = protocol.get_buffer(-1)
        buffer[: len(piece)] = piece
        protocol.buffer_updated(len(piece))
    await stage.passes(0)
    assert [it.status for it in wire.responses] == [200]


@staged
async def test_little_is_read_at_once_until_the_head_is_complete(stage: Stage) -> None:
    wire = stage.connect()
    assert room(wire) == HEAD_READ_BYTES
    await stage.send(wire, stage.signed_head(b"content-length: 1000\r\n"))
    assert room(wire) == BODY_READ_BYTES
    await stage.send(wire, b"x" * 1_000)
    assert len(wire.responses) == 1
    assert room(wire) == HEAD_READ_BYTES


def test_the_loop_that_the_gateway_runs_on_reads_no_more_at_once() -> None:
    """It does so for what is no `asyncio.Protocol`, which uvicorn's own is."""
    pieces: list[int] = []
    all_read = asyncio.Event()

    class Recorded:
        reads_body = False

        def data_received(self, data: bytes) -> None:
            pieces.append(len(data))
            if sum(pieces) == 100_000:
                all_read.set()

        def __getattr__(self, name: str) -> Any:
            return lambda *_: None

    async def served() -> None:
        ours, theirs = socket.socketpair()
        theirs.sendall(b"x" * 100_000)
        theirs.close()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: BufferedReading(Recorded(), ReadBuffer()), ours)
        await all_read.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(served(), 20))

    assert max(pieces) == HEAD_READ_BYTES


@staged
async def test_a_body_is_read_when_the_application_wants_it(stage: Stage) -> None:
    wanted = stage.connect()
    head = stage.signed_head(LARGE)
    assert wanted.protocol is not None
    wanted.protocol.data_received(head + b"x" * 1_000)
    assert not wanted.reads
    await stage.passes(0)
    assert wanted.reads

    refused = stage.connect()
    await stage.send(refused, HEAD + LARGE + b"\r\n" + b"x" * 1_000)
    assert [it.reason for it in refused.responses] == ["MISSING_HEADER"]
    assert not refused.reads


@staged
async def test_a_large_body_is_refused_by_its_head_while_there_is_no_room_for_it(
    stage: Stage,
) -> None:
    stage.buffers.limit = 900_000
    held = stage.connect()
    await stage.send(held, stage.signed_head(LARGE) + b"x" * 499_000)

    other = stage.connect()
    await stage.send(other, stage.signed_head(LARGE) + b"x" * 1_000)

    assert [it.reason for it in other.responses] == ["GATEWAY_OVERLOADED"]
    stage.buffers.limit = 1_000_000
    again = stage.connect()
    await stage.send(again, stage.signed_head(LARGE) + b"x" * 1_000)
    assert not again.responses


class Idle:
    """A connection that counts how often it is looked at."""

    address = "192.0.2.1"

    def __init__(self) -> None:
        self.looks = 0

    @property
    def is_busy(self) -> bool:
        self.looks += 1
        return False

    def give_way(self) -> None:
        pass


def test_not_every_connection_is_looked_at_for_each_new_one() -> None:
    slots = ConnectionSlots(limit=500)
    connections = [Idle() for _ in range(1_000)]
    for connection in connections:
        assert slots.enter(connection)
        slots.served(connection)
    assert sum(it.looks for it in connections) == 500
