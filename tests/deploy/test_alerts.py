"""The alerts: each asks for what a gateway shows, and fires when it should, by promtool."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.alert_cases import CASES
from tests.deploy.metrics import Shown
from tests.deploy.queries import chosen
from tests.harness.described import described
from tests.harness.gateway import RunningGateway
from tests.harness.needs import with_tool

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
GROUPS = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()

# Prometheus's own judge of rules.
with_promtool = with_tool("promtool")


@pytest.mark.parametrize("rule", RULES, ids=lambda it: str(it["alert"]))
def test_an_alert_asks_for_what_a_gateway_shows(
    shared_gateway: RunningGateway, rule: dict[str, Any]
) -> None:
    assert list(chosen(rule["expr"]))
    assert Shown.by(described(shared_gateway)).mistakes(rule["expr"]) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda it: str(it["alert"]))
def test_an_alert_says_how_urgent_it_is_and_what_has_happened(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description"}
    told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["description"]))
    assert told <= {"instance", "caller", "component", "address", "kind"}


def test_the_names_of_alerts_differ_and_those_that_page_are_explained() -> None:
    names = [rule["alert"] for rule in RULES]
    paging = {rule["alert"] for rule in RULES if rule["labels"]["severity"] == "page"}
    explained = set(re.findall(r"`(Gateway\w+)`", OPERATING))

    assert len(names) == len(set(names))
    assert explained <= set(names)
    assert paging <= explained


def test_each_promise_of_the_feed_has_an_alert() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    promises = re.findall(
        r"^\d\. \*\*(.+?)\.\*\*", readme.split("## What the feed promises")[1], re.MULTILINE
    )
    table = OPERATING.split("| promise of the feed | alert |")[1].split("\n\n")[0].lower()

    assert len(promises) == 6
    for promise in promises:
        words = promise.lower().replace("at least once, in log order", "at least once")
        assert words in table, promise


@pytest.mark.parametrize(
    ("query", "mistake"),
    [
        ("rate(gateway_webhook_total[5m])", "there is no gateway_webhook_total"),
        ("gateway_webhooks_total{result='x'}", "gateway_webhooks_total has no label result"),
        (
            "gateway_webhooks_total{outcome=~'stored|lost'}",
            "gateway_webhooks_total has no outcome lost",
        ),
        ("sum by (caller) (gateway_log_events)", "nothing in it has a label caller"),
        ("gateway_feed_lag_seconds > 1", "there is no gateway_feed_lag_seconds"),
    ],
)
def test_mistakes_are_found(shared_gateway: RunningGateway, query: str, mistake: str) -> None:
    assert Shown.by(described(shared_gateway)).mistakes(query) == [mistake]


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == {rule["alert"] for rule in RULES}


@with_promtool
def test_prometheus_takes_the_rules() -> None:
    promtool("check", "rules", str(FOLDER / "alerts.yaml"))


@with_promtool
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    severities = {rule["alert"]: rule["labels"]["severity"] for rule in RULES}
    bare = [{**rule, "annotations": {}} for rule in RULES]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": bare}]}))
    cases = []
    for alert, case in CASES.items():
        fired = {"instance": "g", "severity": severities[alert], **case.labels}
        for series, expected in ((case.fires, [{"exp_labels": fired}]), (case.silent, [])):
            seen = {"eval_time": "90m", "alertname": alert, "exp_alerts": expected}
            cases.append(
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": scraped(name), "values": values}
                        for name, values in series.items()
                    ],
                    "alert_rule_test": [seen],
                }
            )
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump(document))

    promtool("test", "rules", str(tmp_path / "cases.yaml"))


def scraped(series: str) -> str:
    """Return a series as scraped from a gateway, unless it says from which."""
    name, _, labels = series.partition("{")
    if "instance=" in labels:
        return series
    return f'{name}{{{labels.removesuffix("}")}{"," if labels else ""}instance="g"}}'


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
