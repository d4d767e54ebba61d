"""Calls that wait to be taken up: those of one method keep none of another waiting."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
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

UNKNOWN = "/no.Such/Method"
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


class Queues:
    """Serves two methods, and notes each call that ends."""

    def __init__(self, loop: LoopThread) -> None:
        # The methods of calls that have ended, in their order.
        self.ended: list[str] = []
        self.codes: dict[str, set[grpc.StatusCode]] = defaultdict(set)
        self._loop = loop
        rules = Rules.of(ignore, ByteBudget())

        async def respond(call: Call[bytes]) -> bytes:
            return b""

        def build() -> GrpcServer:
            methods = {
                name: rules.shell.unary(f"/own.S/{name}", bytes, respond) for name in ("A", "B")
            }
            return GrpcServer(
                {"own.S": methods},
                ["own.S"],
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
        stubs: list[Any] = [(it, self.channel.unary_unary(it)) for it in methods]
        calls = [(it, stub.future(b"")) for it, stub in stubs]
        noted = threading.Semaphore(0)
        for method, call in calls:
            call.add_done_callback(partial(self._note, method, noted))
        goes_on.set()
        for _ in calls:
            assert noted.acquire(timeout=20)

    def _note(self, method: str, noted: threading.Semaphore, call: Any) -> None:
        self.ended.append(method)
        self.codes[method].add(call.code())
        noted.release()

    def close(self) -> None:
        self.channel.close()
        self._loop.run(self.server.stop())


@pytest.fixture
def queues(loop: LoopThread) -> Iterator[Queues]:
    queues = Queues(loop)
    yield queues
    queues.close()


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("/own.S/A", "/own.S/B"),
        ("/own.S/A", HEALTH),
        (UNKNOWN, "/own.S/A"),
        (UNKNOWN, HEALTH),
        (UNKNOWN, REFLECTION),
        (HEALTH, "/own.S/B"),
    ],
)
def test_a_call_does_not_wait_behind_many_of_another_method(
    queues: Queues, many: str, one: str
) -> None:
    queues.in_one_go(*[many] * MANY, one)

    assert len(queues.ended) == MANY + 1
    assert queues.ended.index(one) < MANY // 2
    assert queues.codes[one] == {grpc.StatusCode.OK}
    refused = grpc.StatusCode.UNIMPLEMENTED if many == UNKNOWN else grpc.StatusCode.OK
    assert queues.codes[many] == {refused}
