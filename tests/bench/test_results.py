"""Results: what is measured again takes its own place, and nobody else's."""

import json
from pathlib import Path

from bench.results import NUMBERS_FILE, TABLES_FILE, Section, write_results


def test_what_is_measured_again_replaces_only_itself(tmp_path: Path) -> None:
    write_results(Section("feed", {}, "The feed."), tmp_path)
    write_results(Section("feed, delay", {"p99": 2.0}, "slow \\1"), tmp_path)
    write_results(Section("feed, idle", {"kib": 20.0}, "small"), tmp_path)

    write_results(Section("feed, delay", {"p99": 1.0}, "quick \\1"), tmp_path)

    assert json.loads((tmp_path / NUMBERS_FILE).read_text()) == {"kib": 20.0, "p99": 1.0}
    lines = (tmp_path / TABLES_FILE).read_text().splitlines()
    shown = [line for line in lines if line and not line.startswith("<!--")]
    assert shown == ["# Benchmark results", "The feed.", "quick \\1", "small"]
