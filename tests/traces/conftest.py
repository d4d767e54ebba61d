"""A gateway whose traces a collector sees."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.telemetry.tracing import traces_of
from tests.harness.collector import Collector
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.provider import RecordingProvider

# What no span may show, as users set them.
API_KEY = "KEY-that-no-span-may-show"
COLLECTOR_TOKEN = "token-that-no-span-may-show"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def exporting(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets what makes traces go to the collector, soon."""
    for name in [it for it in os.environ if it.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer {COLLECTOR_TOKEN}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.fixture
def traced(
    exporting: None, loop: LoopThread, tmp_path: Path, provider: RecordingProvider
) -> Iterator[RunningGateway]:
    """A gateway in front of `provider` that traces everything."""
    traces = traces_of(os.environ, "1.2.3")
    running = RunningGateway(loop, tmp_path, provider.base_url, traces, TELNYX_API_KEY=API_KEY)
    yield running
    running.close()
