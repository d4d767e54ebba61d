"""Fixtures that the tests of the journal share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.clock import ManualClock
from tests.harness.logs import PLENTY, OpenLog
from tests.harness.loop import LoopThread


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def opened(loop: LoopThread, tmp_path: Path, clock: ManualClock) -> Iterator[OpenLog]:
    log = OpenLog(loop, tmp_path / "deep" / "events.db", clock, PLENTY)
    yield log
    log.close()
