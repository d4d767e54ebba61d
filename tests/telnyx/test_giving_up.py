"""Callers who leave while the provider is silent: what becomes of their requests on the wire."""

import asyncio

import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from tests.conftest import StartGateway
from tests.harness.hostile import HostileServer, json_answer, read_request
from tests.harness.loop import LoopThread

# Far beyond the test's own time: what ends before ends because somebody ended it.
DEADLINE_S = 600


@pytest.fixture(params=["pyreqwest", "httpx"])
def http_client(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


class SilentServer:
    """Reads requests, never responds, and knows when each connection was closed."""

    def __init__(self, loop: LoopThread) -> None:
        self._loop = loop
        self.received = loop.call(asyncio.Event)
        self.closed = loop.call(asyncio.Event)
        self.server = HostileServer(loop, self._behave)

    async def _behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        self.received.set()
        await reader.read()
        self.closed.set()

    def wait(self, event: asyncio.Event) -> None:
        self._loop.run(event.wait())


def test_a_cancelled_query_is_ended_on_the_wire(
    loop: LoopThread, start_gateway: StartGateway
) -> None:
    silent = SilentServer(loop)
    gateway = start_gateway(silent.server.base_url, GATEWAY_HTTP_CLIENT="httpx")
    call = gateway.queues.GetQueue.future(q.GetQueueRequest(queue_name="q"), timeout=DEADLINE_S)
    silent.wait(silent.received)

    call.cancel()

    silent.wait(silent.closed)
    silent.server.close()


def test_a_cancelled_command_goes_on(
    loop: LoopThread, start_gateway: StartGateway, http_client: str
) -> None:
    silent = SilentServer(loop)
    gateway = start_gateway(silent.server.base_url, GATEWAY_HTTP_CLIENT=http_client)
    call = gateway.conferences.PlayAudio.future(
        c.PlayAudioRequest(conference_id="c", media_name="m"), timeout=DEADLINE_S
    )
    silent.wait(silent.received)

    call.cancel()

    gateway.wait_for_upstream(in_flight=1, abandoned=1)
    assert not silent.closed.is_set()
    gateway.close()
    silent.server.close()


def test_a_hanging_provider_that_comes_back_is_served_at_once(
    loop: LoopThread, start_gateway: StartGateway, http_client: str
) -> None:
    """However many queries have been given up meanwhile, in whatever stage they were."""
    back = loop.call(asyncio.Event)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            await back.wait()
            writer.write(json_answer(b'{"data": {"name": "q"}}'))
            await writer.drain()

    server = HostileServer(loop, behave)
    gateway = start_gateway(
        server.base_url, GATEWAY_HTTP_CLIENT=http_client, GATEWAY_UPSTREAM_IN_FLIGHT="4"
    )
    query = q.GetQueueRequest(queue_name="q")
    for _ in range(20):
        hanging = [gateway.queues.GetQueue.future(query, timeout=0.2) for _ in range(20)]
        assert all(call.exception() for call in hanging)

    loop.call(back.set)

    gateway.wait_for_upstream(in_flight=0)
    calls = [gateway.queues.GetQueue.future(query, timeout=20) for _ in range(40)]
    assert all(call.result().queue.name == "q" for call in calls)
    server.close()
