"""Fixtures that the tests of backfill share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness.loop import LoopThread
from tests.ingest.backfill.bench import DAY_S, Bench


@pytest.fixture
def bench(loop: LoopThread, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(loop, tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def make(loop: LoopThread, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(*, tells_time: bool, retention_age_s: float = 7 * DAY_S) -> Bench:
        bench = Bench(loop, tmp_path, retention_age_s=retention_age_s, tells_time=tells_time)
        benches.append(bench)
        return bench

    yield make
    for bench in benches:
        bench.close()
