"""Traces of the gateway as users start it: by OpenTelemetry's own environment, or not at all."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conferencing.v1.queue_service_pb2 import GetQueueRequest
from conferencing.v1.queue_service_pb2_grpc import QueueServiceStub
from gateway.config import load_settings
from tests.harness.collector import Collector
from tests.harness.process import GatewayProcess, environment
from tests.harness.provider import RecordingProvider
from tests.harness.webhooks import Signer

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

# Starts a gateway without traces, and shows what it has loaded.
STARTS = """
import asyncio, sys
from gateway.app import Gateway
from gateway.version import gateway_version
from gateway.config import environment, load_settings
from gateway.telemetry.tracing import traces_of

async def run():
    traces = traces_of(environment(), gateway_version())
    gateway = await Gateway.start(load_settings(environment()), traces=traces)
    await gateway.stop()

asyncio.run(run())
print(*sys.modules)
"""


def settings(folder: Path, **more: str) -> dict[str, str]:
    return {
        "TELNYX_API_KEY": "KEY0123456789",
        "TELNYX_PUBLIC_KEY": Signer().public_key,
        "TELNYX_BASE_URL": "http://127.0.0.1:9/v2",
        "GATEWAY_GRPC_ADDRESS": "127.0.0.1:0",
        "GATEWAY_HTTP_ADDRESS": "127.0.0.1:0",
        "GATEWAY_EVENT_LOG": f"sqlite:///{folder / 'events.db'}",
        **more,
    }


def loaded(folder: Path, **more: str) -> set[str]:
    """Return the packages that a gateway has loaded when it stops."""
    run = subprocess.run(
        [sys.executable, "-c", STARTS],
        env=environment(**settings(folder, **more)),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.split(".")[0] for name in run.stdout.split()}


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded(tmp_path: Path) -> None:
    assert not loaded(tmp_path) & {"opentelemetry", "requests", "urllib3"}


def test_with_an_endpoint_it_is(tmp_path: Path) -> None:
    """The test above would notice."""
    assert "opentelemetry" in loaded(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")


def test_a_gateway_that_is_told_to_stop_exports_its_last_spans(
    tmp_path: Path, collector: Collector, provider: RecordingProvider
) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": "voice",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        # Of its own accord it would export in an hour.
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",
    }
    with GatewayProcess(tmp_path, TELNYX_BASE_URL=provider.base_url, **env) as gateway:
        queues = QueueServiceStub(gateway.channel)
        queues.GetQueue(
            GetQueueRequest(queue_name="q"), timeout=20, metadata=(("traceparent", PARENT),)
        )
        gateway.webhooks.event()
        assert collector.spans == []

        gateway.signal(signal.SIGTERM)

        assert gateway.wait() == 0
    assert {it.name for it in collector.spans} == {
        "conferencing.v1.QueueService/GetQueue",
        "GET GetQueue",
        "POST /webhooks/telnyx",
        "verify signature",
        "append event",
    }
    (service,) = {it.resource["service.name"] for it in collector.spans}
    assert service == "voice"
    assert collector.spans[0].resource["deployment.environment.name"] == "test"


def test_a_dead_collector_holds_up_neither_calls_nor_the_end(
    tmp_path: Path, provider: RecordingProvider
) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "1"}
    with GatewayProcess(tmp_path, TELNYX_BASE_URL=provider.base_url, **env) as gateway:
        queues = QueueServiceStub(gateway.channel)
        for _ in range(50):
            queues.GetQueue(GetQueueRequest(queue_name="q"), timeout=20)

        gateway.signal(signal.SIGTERM)

        assert gateway.wait(timeout=15) == 0
    told = [line for line in [*gateway.log, *gateway.new_lines()] if "traces cannot" in line]
    assert len(told) == 1
    assert not [line for line in gateway.log if "opentelemetry" in line]


@pytest.mark.parametrize(
    "name",
    [
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_PYTHON_WHATEVER_COMES",
        "OTEL_SDK_DISABLED",
        "OTEL_SERVICE_NAME",
        "OTEL_TRACES_SAMPLER",
    ],
)
def test_a_setting_of_opentelemetry_is_none_of_ours_and_no_mistake(
    tmp_path: Path, name: str
) -> None:
    assert load_settings(settings(tmp_path, **{name: "x"})) == load_settings(settings(tmp_path))
