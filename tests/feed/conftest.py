"""Fixtures that the tests of the feed share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.feed.stage import Stage
from tests.harness.loop import LoopThread


@pytest.fixture
def stage(loop: LoopThread, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(loop, tmp_path, window=10)
    yield stage
    stage.close()
