"""Calls that wait to be taken up: those of some methods keep no others waiting."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from gateway.address import TcpAddress
from gateway.bytebudget import ByteBudget
from gateway.records.observer import ignore
from gateway.server.call import Call
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.server import GrpcServer
from tests.harness.loop import LoopThread

MANY = 300


class Queues:
    """Serves a method with a queue of its own and one without, and notes each call that begins."""

    def __init__(self, loop: LoopThread) -> None:
        self.begun: list[str] = []
        self._loop = loop
        rules = Rules.of(ignore, ByteBudget())

        async def note(call: Call[bytes]) -> bytes:
            self.begun.append(call.method)
            return b""

        def build() -> GrpcServer:
            apart = {"apart.S": {"M": rules.shell.unary("/apart.S/M", bytes, note)}}
            others = {"M": rules.shell.unary("/others.S/M", bytes, note)}
            return GrpcServer(
                (grpc.method_handlers_generic_handler("others.S", others),),
                apart,
                [],
                connection_age_max_s=1_000,
                connection_grace_s=1_000,
                rules=rules,
                connections_max=10,
            )

        self.server = loop.call(build)
        address = loop.run(self.server.start(TcpAddress("127.0.0.1", 0)))
        self.channel = grpc.insecure_channel(str(address))
        grpc.channel_ready_future(self.channel).result(20)

    def in_one_go(self, *methods: str) -> None:
        """Send a call of each method while none is taken up; returns when all have ended."""
        held, goes_on = threading.Event(), threading.Event()

        def hold() -> None:
            held.set()
            goes_on.wait(20)

        self._loop.loop.call_soon_threadsafe(hold)
        assert held.wait(20)
        stubs: list[Any] = [self.channel.unary_unary(it) for it in methods]
        calls = [stub.future(b"") for stub in stubs]
        goes_on.set()
        for call in calls:
            call.result(20)

    def close(self) -> None:
        self.channel.close()
        self._loop.run(self.server.stop())


@pytest.fixture
def queues(loop: LoopThread) -> Iterator[Queues]:
    queues = Queues(loop)
    yield queues
    queues.close()


def test_a_call_does_not_wait_behind_many_of_a_method_with_a_queue_of_its_own(
    queues: Queues,
) -> None:
    queues.in_one_go(*["/apart.S/M"] * MANY, "/others.S/M")
    assert len(queues.begun) == MANY + 1
    assert queues.begun.index("others.S/M") < MANY // 2


def test_nor_the_other_way_round(queues: Queues) -> None:
    queues.in_one_go(*["/others.S/M"] * MANY, "/apart.S/M")
    assert len(queues.begun) == MANY + 1
    assert queues.begun.index("apart.S/M") < MANY // 2
