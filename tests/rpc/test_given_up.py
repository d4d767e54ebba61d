"""Calls that are given up before they begin leave next to nothing behind."""

import asyncio
import ctypes
import gc
import os
import tempfile
import threading
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from gateway.address import TcpAddress
from gateway.bytebudget import ByteBudget
from gateway.records.calls import CallEnded
from gateway.server.call import Call
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.server import GrpcServer
from gateway.server.hooks import peers
from gateway.server.hooks.given_up import GivenUp
from gateway.server.hooks.peers import Peers
from tests.harness.calls import PEER, HeldWire, call_of
from tests.harness.clock import ManualClock
from tests.harness.http2 import RawClient, message, reset, rpc, stream_ids
from tests.harness.loop import LoopThread
from tests.harness.needs import with_glibc

# Calls that one connection gives up: fewer than have it held for a flood.
CALLS = 400
CONNECTIONS = 4
ROUNDS = 9

# What a call that was given up may leave behind, in bytes, on the average: 8 to 36 are left. One
# whose message is read leaves 96, and one whose opening metadata is sent 270.
LEFT_MAX = 60


def allocated() -> int:
    """Return how many bytes of the C library's are in use, in all of its heaps."""
    libc = ctypes.CDLL(None)
    libc.fdopen.restype = ctypes.c_void_p
    with tempfile.TemporaryFile() as file:
        stream = ctypes.c_void_p(libc.fdopen(os.dup(file.fileno()), b"w"))
        libc.malloc_info(0, stream)
        libc.fclose(stream)
        file.seek(0)
        root = ET.fromstring(file.read())

    def size(path: str) -> int:
        return sum(int(it.get("size", "0")) for it in root.findall(path))

    # What is free includes the end of each heap, which is free as well.
    free = size("total[@type='fast']") + size("total[@type='rest']")
    return size("system[@type='current']") - free


class Streams:
    """A server of streams that never end by themselves."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self._ended = threading.Semaphore(0)
        rules = Rules.of(self._note, ByteBudget())

        async def respond(call: Call[bytes]) -> None:
            await call.write(b"opened")
            await self._never.wait()

        def build() -> GrpcServer:
            self._never = asyncio.Event()
            methods = {"own.S": {"M": rules.shell.stream("/own.S/M", bytes, respond)}}
            return GrpcServer(methods, [], 1_000, 1_000, rules, 10)

        self._server = loop.call(build)
        self.address = str(loop.run(self._server.start(TcpAddress("127.0.0.1", 0))))

    def _note(self, _: CallEnded) -> None:
        self._ended.release()

    def give_up(self) -> None:
        """Have connections give calls up as they make them; returns when all have ended."""
        for _ in range(CONNECTIONS):
            ids = stream_ids()
            with RawClient(self.address) as client:
                for it in (next(ids) for _ in range(CALLS)):
                    client.send(rpc(it, "/own.S/M") + message(it) + reset(it))
                for _ in range(CALLS):
                    assert self._ended.acquire(timeout=20)

    def close(self) -> None:
        self._loop.run(self._server.stop())


@pytest.mark.slow
@with_glibc
def test_what_is_given_up_before_it_begins_leaves_next_to_nothing(loop: LoopThread) -> None:
    streams = Streams(loop)
    left = list[int]()
    for _ in range(ROUNDS):
        gc.collect()
        before = allocated()
        streams.give_up()
        gc.collect()
        left.append(allocated() - before)
    streams.close()

    # Buffers of connections that end are still in use in one round or another.
    assert sorted(left)[ROUNDS // 4] < LEFT_MAX * CALLS * CONNECTIONS


def test_calls_of_a_connection_that_gave_some_up_begin_a_moment_later() -> None:
    clock = ManualClock()
    known = Peers(ByteBudget(), clock)
    hook = GivenUp(known)

    def begins_at_once(peer: str = PEER) -> bool:
        waits: Any = hook.on_start(call_of(b"", HeldWire(peer=peer)))
        if waits is not None:
            waits.close()
        return waits is None

    for _ in range(peers.SUSPECTED):
        assert begins_at_once()
        known.ended(known.admit(PEER), given_up=1)
    assert begins_at_once()
    known.ended(known.admit(PEER), given_up=1)

    assert not begins_at_once()
    assert begins_at_once("another connection")
    clock.advance(peers.SUSPECTED / peers.GIVEN_UP_PER_S)
    assert begins_at_once()
