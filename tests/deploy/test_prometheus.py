"""A real Prometheus scrapes a gateway: it answers the dashboard's queries and judges the alerts."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from conferencing.v1.conference_service_pb2 import EndConferenceRequest
from tests.conftest import StartGateway
from tests.deploy.test_dashboard import PANELS
from tests.harness.gateway import RunningGateway
from tests.harness.needs import with_tool
from tests.harness.ports import free_port
from tests.harness.provider import RecordingProvider
from tests.harness.readiness import until
from tests.harness.webhooks import webhook

ALERTS = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yaml"
CONFIG = """
global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}
rule_files: ["{rules}"]
scrape_configs:
- job_name: telnyx-gateway
  static_configs: [{{targets: ["{target}"]}}]
"""

# Panels that show nothing while all is well and nobody does what they show, and one about the log
# output of a process.
QUIET = {
    "Certificates expire in",
    "Failures that are not the callers'",
    "Retries and hedges",
    "Rate limits",
    "Backfill",
    "Events with notes",
    "Refusals",
    "Limits of callers",
    "Lines of the log output",
    "Watermark age",
}

pytestmark = with_tool("prometheus")


class Prometheus:
    """Scrapes one gateway."""

    def __init__(self, folder: Path, target: str) -> None:
        (folder / "prometheus.yml").write_text(CONFIG.format(rules=ALERTS, target=target))
        self.address = f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.address}",
            ],
            stderr=subprocess.DEVNULL,
        )

    def asked(self, path: str, **parameters: str) -> Any:
        """Return what it answers; None while it is not there."""
        query = urlencode(parameters)
        try:
            with urlopen(f"http://{self.address}/api/v1/{path}?{query}", timeout=10) as response:
                return json.load(response)["data"]
        except (URLError, ConnectionError):
            return None

    def values(self, query: str) -> list[float]:
        answer = self.asked("query", query=query)
        return [] if answer is None else [float(it["value"][1]) for it in answer["result"]]


@pytest.fixture
def watched(start_gateway: StartGateway, provider: RecordingProvider) -> RunningGateway:
    """A gateway that has been called and has received a webhook."""
    gateway = start_gateway(provider.base_url)
    gateway.webhooks.post(webhook("conference.created", {"conference_id": "c1"}))
    gateway.conferences.EndConference(EndConferenceRequest(conference_id="c1"))
    return gateway


@pytest.fixture
def prometheus(watched: RunningGateway, tmp_path: Path) -> Iterator[Prometheus]:
    running = Prometheus(tmp_path, watched.admin_address)
    try:
        # Twice at least, or nothing has a rate.
        until(lambda: running.values("count_over_time(up[5m])") >= [3.0])
        yield running
    finally:
        running.process.terminate()
        running.process.wait(20)


def test_the_dashboard_and_the_alerts_work(prometheus: Prometheus) -> None:
    silent = set()
    for panel in PANELS:
        for target in panel["targets"]:
            query = target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
            answer = prometheus.asked("query", query=query)
            assert answer is not None, query
            if not answer["result"]:
                silent.add(panel["title"])
    assert silent <= QUIET

    def judged() -> bool:
        rules = [it for group in prometheus.asked("rules")["groups"] for it in group["rules"]]
        assert not any(it["lastError"] for it in rules if it["health"] == "err"), rules
        return bool(rules) and all(it["health"] == "ok" for it in rules)

    until(judged)
    firing = {
        it["labels"]["alertname"]
        for it in prometheus.asked("alerts")["alerts"]
        if it["state"] == "firing"
    }
    assert firing == set()
