"""`docs/operating.md` against what a running gateway shows."""

import re
from pathlib import Path

import pytest

from gateway.server.request_ids import request_id_of
from gateway.telemetry.call_lines import fields_of
from gateway.telemetry.instruments import Described
from tests.harness.described import described
from tests.harness.gateway import RunningGateway
from tests.telemetry.test_call_lines import MISTAKE

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "operating.md").read_text()


def test_every_metric_is_in_the_table_with_its_labels_type_and_meaning(
    shared_gateway: RunningGateway,
) -> None:
    rows = re.findall(r"^\| `(\w+?)(?:\{([\w,]+)\})?` \| (\w+) \| (.+) \|$", TEXT, re.MULTILINE)

    documented = [
        Described(name, kind, tuple(labels.split(",")) if labels else (), text)
        for name, labels, kind, text in rows
        if name.startswith(("gateway_", "grpc_"))
    ]
    assert documented == described(shared_gateway)


def test_what_the_page_shows_is_what_was_described(shared_gateway: RunningGateway) -> None:
    shown = set(re.findall(r"^# TYPE (\w+) \w+$", shared_gateway.metrics(), re.MULTILINE))
    own = {it for it in shown if not it.startswith(("process_",)) and not it.endswith("_created")}

    assert own == {it.name for it in shared_gateway.app.metrics.instruments.described}


def test_every_member_of_a_line_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", TEXT.split("| member | what |")[1].split("\n\n")[0]))

    assert set(fields_of(MISTAKE)) <= explained


@pytest.mark.parametrize(("length", "taken"), [(1, True), (64, True), (65, False)])
def test_ids_may_be_as_long_as_it_says(length: int, taken: bool) -> None:
    assert "1 to 64 printable ASCII characters" in " ".join(TEXT.split())
    assert (request_id_of([("x-request-id", "x" * length)]) == "x" * length) is taken
