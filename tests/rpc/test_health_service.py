"""`grpc.health.v1` of a real server: who asks, who watches, and who takes nothing."""

import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.feed import http2
from gateway.server.grpc.health import HealthService
from tests.harness.http2 import RawClient, message, rpc
from tests.harness.loop import LoopThread

S = health_pb2.HealthCheckResponse
WATCH = "/grpc.health.v1.Health/Watch"


class Served:
    """A server with nothing but its health."""

    def __init__(self, loop: LoopThread) -> None:
        self.loop = loop
        self.service = HealthService(frozenset(["", "x.S", "x.T"]))
        self._server: grpc.aio.Server = loop.call(grpc.aio.server)
        health_pb2_grpc.add_HealthServicer_to_server(self.service, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        loop.run(self._server.start())
        self.channel = grpc.insecure_channel(self.address)
        self.stub = health_pb2_grpc.HealthStub(self.channel)

    def tell(self, **serving: bool) -> None:
        states = {f"x.{name}": it for name, it in serving.items()}
        self.loop.call(lambda: self.service.tell(states))

    def check(self, name: str) -> Any:
        return self.stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=20).status

    def watch(self, name: str) -> "Queue[int]":
        """What a watcher hears, as it comes."""
        heard: Queue[int] = Queue()
        stream = self.stub.Watch(health_pb2.HealthCheckRequest(service=name))

        def read() -> None:
            try:
                for response in stream:
                    heard.put(response.status)
            except grpc.RpcError:
                pass

        threading.Thread(target=read, daemon=True).start()
        return heard

    def close(self) -> None:
        self.channel.close()
        self.loop.run(self._server.stop(0))


@pytest.fixture
def served(loop: LoopThread) -> Iterator[Served]:
    it = Served(loop)
    yield it
    it.close()


def test_nothing_is_served_until_somebody_says_so(served: Served) -> None:
    assert [served.check(it) for it in ("", "x.S")] == [S.NOT_SERVING, S.NOT_SERVING]

    served.tell(S=True)

    assert served.check("x.S") == S.SERVING
    assert served.check("x.T") == S.NOT_SERVING
    assert {
        name: it.status
        for name, it in served.stub.List(
            health_pb2.HealthListRequest(), timeout=20
        ).statuses.items()
    } == {"": S.NOT_SERVING, "x.S": S.SERVING, "x.T": S.NOT_SERVING}


def test_a_service_that_there_is_not_is_not_found_and_may_be_watched(served: Served) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        served.check("x.Nobody")

    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert served.watch("x.Nobody").get(timeout=20) == S.SERVICE_UNKNOWN


def test_a_watcher_hears_the_state_at_once_and_each_change_of_it(served: Served) -> None:
    heard = served.watch("x.S")
    assert heard.get(timeout=20) == S.NOT_SERVING

    for serving in (True, False, True):
        served.tell(S=serving, T=False)
        assert heard.get(timeout=20) == (S.SERVING if serving else S.NOT_SERVING)
    served.tell(T=True)
    served.tell(S=False)

    assert heard.get(timeout=20) == S.NOT_SERVING
    assert heard.empty()


def test_a_watcher_that_takes_nothing_keeps_nothing_from_others(served: Served) -> None:
    request = health_pb2.HealthCheckRequest(service="x.S").SerializeToString()
    with RawClient(served.address, window=0) as deaf:
        deaf.socket.sendall(rpc(1, WATCH) + message(1, request))
        assert deaf.wait_for(http2.HEADERS)
        heard = served.watch("x.S")
        assert heard.get(timeout=20) == S.NOT_SERVING

        served.tell(S=True)

        assert heard.get(timeout=20) == S.SERVING
        served.loop.run(served.service.heard(0.1))
    # Who is gone is nobody to wait for.
    served.tell(S=False)
    served.loop.run(served.service.heard(60), timeout=20)
    assert heard.get(timeout=20) == S.NOT_SERVING
