"""Fixtures that the tests of backfill share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.loop import LoopThread
from tests.ingest.backfill.bench import Bench


@pytest.fixture
def bench(loop: LoopThread, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(loop, tmp_path)
    yield bench
    bench.close()
