"""A whole gateway's health by each of its faces: HTTP, gRPC, metrics and log lines."""

import asyncio
import json
import logging
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2
from starlette.applications import Starlette

from bench.feed import http2
from conferencing.v1.queue_service_pb2 import GetQueueRequest
from gateway.address import TcpAddress
from gateway.background import PAUSE_S, Background
from gateway.health.health import Report
from gateway.server.http.health import health_routes
from gateway.server.http.server import HttpServer
from gateway.server.http.slots import admin_connections_max
from tests.conftest import StartGateway
from tests.harness.clock import ManualClock
from tests.harness.gateway import RunningGateway, failure_of
from tests.harness.http2 import RawClient, message, rpc
from tests.harness.loop import LoopThread
from tests.harness.pages import http_get
from tests.harness.provider import Answer, RecordingProvider
from tests.harness.readiness import ready, serving, until
from tests.harness.webhooks import webhook

GET = GetQueueRequest(queue_name="q")
REJECTED = Answer(401, {"errors": [{"code": "10009"}]})
COMPONENTS = [
    "gateway",
    "event_log",
    "event_index",
    "api_key",
    "provider",
    "provider_requests",
    "certificates",
    "background_work",
]
COMMANDS = "conferencing.v1.ConferenceService"
FEED = "conferencing.v1.EventService"


def document(gateway: RunningGateway) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        f"http://{gateway.admin_address}/readyz", headers={"accept": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def gauges(gateway: RunningGateway) -> dict[str, float]:
    found = re.findall(
        r'^gateway_component_ready\{component="(\w+)"\} (\S+)$', gateway.metrics(), re.M
    )
    return {name: float(value) for name, value in found}


def lose_the_log(gateway: RunningGateway, folder: Path) -> None:
    """Have the log's file be gone, as the next commit finds."""
    (folder / "events.db").rename(folder / "away.db")
    assert gateway.webhooks.post(webhook()).status == 503


def test_each_face_tells_of_all_that_is_wrong_and_of_what_it_stops(
    start_gateway: StartGateway,
    provider: RecordingProvider,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.INFO)
    gateway = start_gateway(provider.base_url)
    assert ready(gateway) == (200, "ready\n")
    assert gauges(gateway) == dict.fromkeys(COMPONENTS, 1.0)

    lose_the_log(gateway, tmp_path)
    provider.answer = REJECTED
    failure_of(gateway.queues.GetQueue, GET)

    status, text = ready(gateway)
    first, second = text.splitlines()
    assert status == 503
    assert first.startswith("not ready: the event log cannot be written: ")
    assert second == "not ready: the provider rejects TELNYX_API_KEY"
    status, told = document(gateway)
    assert (status, told["ready"]) == (503, False)
    assert [it["name"] for it in told["components"]] == COMPONENTS
    assert {it["name"] for it in told["components"] if not it["ok"]} == {"event_log", "api_key"}
    assert told["services"] == {
        "": False,
        "conferencing.v1.ConferenceService": False,
        "conferencing.v1.QueueService": False,
        "conferencing.v1.EventService": True,
    }
    assert {name for name, value in gauges(gateway).items() if not value} == {
        "event_log",
        "api_key",
    }
    assert not serving(gateway, "")
    assert not serving(gateway, COMMANDS)
    # What is stored is read on.
    assert serving(gateway, FEED)
    assert http_get(gateway.admin_address, "/healthz") == (200, "ok\n")

    provider.answer = Answer(200, {"data": {"record_type": "queue", "name": "q"}})
    gateway.queues.GetQueue(GET)
    until(lambda: serving(gateway, COMMANDS))
    assert not serving(gateway, "")

    lines = [it.getMessage() for it in caplog.records if it.getMessage().startswith("health: ")]
    assert [re.sub(r"\d+\.\d", "N", re.sub(r"written: .*", "written", it)) for it in lines] == [
        "health: event_log: the event log cannot be written",
        "health: api_key: the provider rejects TELNYX_API_KEY",
        "health: api_key works, after N s without",
    ]


def test_a_document_says_how_long_a_component_has_been_so(start_gateway: StartGateway) -> None:
    status, told = document(start_gateway())

    assert status == 200
    assert told["ready"] is True
    assert {it["ok"] for it in told["components"]} == {True}
    assert {it["reason"] for it in told["components"]} == {None}
    assert all(0 <= it["for_seconds"] < 60 for it in told["components"])


def test_who_watches_hears_of_the_shutdown_before_the_connection_is_told_to_go(
    start_gateway: StartGateway,
) -> None:
    gateway = start_gateway()
    request = health_pb2.HealthCheckRequest(service=FEED).SerializeToString()
    with RawClient(str(gateway.app.grpc_address), deaf=True) as client:
        client.socket.sendall(rpc(1, "/grpc.health.v1.Health/Watch") + message(1, request))
        serving_ = framed(health_pb2.HealthCheckResponse.SERVING)
        heard = b""
        while serving_ not in heard:
            heard += client.socket.recv(65_536)

        gateway.stop()

        while data := client.socket.recv(65_536):
            heard += data
    stopped, going = heard.find(framed(health_pb2.HealthCheckResponse.NOT_SERVING)), goaway(heard)
    assert 0 <= stopped < going


def framed(status: int) -> bytes:
    """A health response as it stands in a DATA frame."""
    body = health_pb2.HealthCheckResponse(status=status).SerializeToString()
    return b"\0" + bytes([0, 0, 0, len(body)]) + bytes(body)


def goaway(heard: bytes) -> int:
    found = heard.find(bytes.fromhex("000008 07 00 00000000 7fffffff"))
    assert found >= 0
    return found


def test_a_watcher_that_takes_nothing_does_not_hold_up_the_end(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    request = health_pb2.HealthCheckRequest(service=FEED).SerializeToString()
    with RawClient(str(gateway.app.grpc_address), window=0) as deaf:
        deaf.socket.sendall(rpc(1, "/grpc.health.v1.Health/Watch") + message(1, request))
        assert deaf.wait_for(http2.HEADERS)

        gateway.stop()

        deaf.ended.wait(20)
        assert deaf.ended.is_set()


def test_a_process_whose_work_has_ended_for_good_is_not_alive(loop: LoopThread) -> None:
    well = Report((), (), {"": True}, 0.0)

    async def ended() -> None:
        raise asyncio.CancelledError

    async def page() -> tuple[int, str]:
        background = Background()
        routes = health_routes(lambda: well, lambda: background.ended)
        server = HttpServer(
            Starlette(routes=routes), lambda reason, peer: None, admin_connections_max()
        )
        address = str(await server.start(TcpAddress("127.0.0.1", 0)))
        try:
            assert await asyncio.to_thread(http_get, address, "/healthz") == (200, "ok\n")
            background.start({"pruning": ended})
            await asyncio.sleep(0)
            return await asyncio.to_thread(http_get, address, "/healthz")
        finally:
            await server.stop(1)

    assert loop.run(page()) == (503, "not alive: background work has ended: pruning\n")


def test_work_that_has_failed_is_shown_until_it_has_gone_on_for_a_while() -> None:
    clock = ManualClock()

    async def story() -> None:
        background = Background(clock)
        mistaken = asyncio.Event()

        async def work() -> None:
            mistaken.set()
            raise ValueError("a mistake")

        background.start({"counting": work})
        assert background.failing is None
        await mistaken.wait()
        await asyncio.sleep(0)
        assert background.failing == "background work fails: counting"
        clock.advance(PAUSE_S)
        assert background.failing
        assert background.ended is None
        clock.advance(120)
        assert background.failing is None
        await background.stop()
        assert background.ended is None

    asyncio.run(story())
