"""What `docs/operating.md` says of traces, against the code."""

import re
from pathlib import Path

from gateway.feed.effects import PATIENCE_S, WAITING_MAX
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.tracing import ENDPOINTS, LAST_SPANS_S, NoTraces
from gateway.tracecontext import STATE_MAX

TEXT = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
FLAT = " ".join(TEXT.split())


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"At most {STATE_MAX} characters of a `tracestate`" in FLAT
    assert f"for {PATIENCE_S:.0f} s, and for at most {WAITING_MAX:,} commands" in FLAT
    assert f"at most {LAST_SPANS_S:.0f} s to export what is left" in FLAT
    assert all(f"`{name}`" in TEXT for name in ENDPOINTS)


def test_the_metrics_are_those_that_there_are() -> None:
    metrics = Metrics()
    metrics.watch_traces(NoTraces())
    there = set(re.findall(r"^(gateway_trace\w+) ", metrics.text().decode(), re.MULTILINE))

    assert set(re.findall(r"^\| `(gateway_trace\w+)`", TEXT, re.MULTILINE)) == there
