"""Callers who leave while the provider is silent: what becomes of their requests on the wire."""

import asyncio
import logging
from time import monotonic

import pytest

from conferencing.v1 import conference_service_pb2 as c
from conferencing.v1 import queue_service_pb2 as q
from gateway.upstream.health.health import ProviderHealth
from gateway.upstream.health.probe import WatchedTransport
from gateway.upstream.sending.limit import LimitedTransport, SentRequest
from gateway.upstream.transport import HttpRequest, Transport, TransportError
from gateway.upstream.transports.pyreqwest_transport import PyreqwestTransport
from tests.conftest import StartGateway
from tests.harness.hostile import HostileServer, json_answer, read_request
from tests.harness.loop import LoopThread

pytestmark = pytest.mark.slow

# Far beyond the test's own time: what ends before ends because somebody ended it.
DEADLINE_S = 600


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


def test_a_cancelled_command_goes_on(loop: LoopThread, start_gateway: StartGateway) -> None:
    silent = SilentServer(loop)
    gateway = start_gateway(silent.server.base_url)
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
    loop: LoopThread, start_gateway: StartGateway
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
    gateway = start_gateway(server.base_url, GATEWAY_UPSTREAM_IN_FLIGHT="4")
    query = q.GetQueueRequest(queue_name="q")
    for _ in range(20):
        hanging = [gateway.queues.GetQueue.future(query, timeout=0.2) for _ in range(20)]
        assert all(call.exception() for call in hanging)

    loop.call(back.set)

    gateway.wait_for_upstream(in_flight=0)
    calls = [gateway.queues.GetQueue.future(query, timeout=20) for _ in range(40)]
    assert all(call.result().queue.name == "q" for call in calls)
    server.close()


# Failures in a row that are worth a line in the log, and some more.
SEVERAL = 5


class Watched:
    """The requests of a gateway to a provider that is silent, and what it thinks of it."""

    def __init__(self, base_url: str, transport: Transport) -> None:
        self.health = ProviderHealth("provider", monotonic, must_be_reached=False)
        self._limited = LimitedTransport(WatchedTransport(transport, self.health))
        self.close = self._limited.close
        self._base_url = base_url

    def start(self, method: str, longest_s: float) -> list[SentRequest]:
        requests = [HttpRequest(method, f"{self._base_url}/{n}", {}) for n in range(SEVERAL)]
        return [self._limited.start(it, monotonic() + longest_s, longest_s) for it in requests]

    def assert_unsuspected(self, caplog: pytest.LogCaptureFixture) -> None:
        assert self.health.trouble_s is None
        assert not [it for it in caplog.records if it.levelno >= logging.WARNING]


def test_queries_that_were_given_up_say_nothing_of_the_provider(
    loop: LoopThread, caplog: pytest.LogCaptureFixture
) -> None:
    server = HostileServer(loop, read_for_ever)

    async def give_up() -> None:
        watched = Watched(server.base_url, PyreqwestTransport())
        # They run into this time.
        sent = watched.start("GET", 0.5)
        while any(it.left_at is None for it in sent):  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
        for it in sent:
            it.give_up()
        ends = await asyncio.gather(*(it.ended for it in sent), return_exceptions=True)
        assert all(isinstance(it, TransportError) for it in ends)
        watched.assert_unsuspected(caplog)
        await watched.close()

    loop.run(give_up())
    server.close()


@pytest.mark.parametrize("attended", [True, False])
def test_commands_that_the_gateway_cuts_off_say_nothing_of_the_provider(
    loop: LoopThread,
    caplog: pytest.LogCaptureFixture,
    attended: bool,
) -> None:
    async def cut_off() -> None:
        watched = Watched(server.base_url, PyreqwestTransport())
        sent = watched.start("POST", DEADLINE_S)
        for _ in sent:
            await received.get()
        if not attended:
            for it in sent:
                it.give_up()
        await watched.close()
        for it in sent:
            it.ended.cancel()
        await asyncio.gather(*(it.ended for it in sent), return_exceptions=True)
        watched.assert_unsuspected(caplog)

    received: asyncio.Queue[None] = loop.call(asyncio.Queue)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        received.put_nowait(None)
        await reader.read()

    server = HostileServer(loop, behave)
    loop.run(cut_off())
    server.close()


async def read_for_ever(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
