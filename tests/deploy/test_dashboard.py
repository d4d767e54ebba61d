"""The dashboard: each query asks for what a gateway shows, and every metric is on it somewhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.metrics import Shown
from tests.deploy.queries import chosen
from tests.harness.described import described
from tests.harness.gateway import RunningGateway

FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "telnyx-gateway.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text())
PANELS = [it for it in DASHBOARD["panels"] if it["type"] != "row"]
QUERIES = [
    pytest.param(target["expr"].replace("$__rate_interval", "5m"), id=f"{it['title']} {number}")
    for it in PANELS
    for number, target in enumerate(it["targets"])
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_panel_asks_for_what_a_gateway_shows(shared_gateway: RunningGateway, query: str) -> None:
    assert list(chosen(query))
    assert Shown.by(described(shared_gateway)).mistakes(query) == []


def test_every_metric_is_on_it(shared_gateway: RunningGateway) -> None:
    names = {it.name for query in QUERIES for it in chosen(str(query.values[0]))}
    asked = {
        name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in names
    }

    missing = {it.name for it in described(shared_gateway)} - asked
    assert missing == set()


def test_every_query_can_be_limited_to_some_instances() -> None:
    for query in QUERIES:
        for it in chosen(str(query.values[0])):
            assert "instance" in it.labels, query.id


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    ids = [it["id"] for it in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_nothing_in_it_is_bound_to_one_grafana() -> None:
    assert DASHBOARD["uid"] == "telnyx-gateway"
    for panel in PANELS:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(it["datasource"]["uid"] == "${datasource}" for it in panel["targets"])
