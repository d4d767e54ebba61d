"""What the tests of the feed share: what holds of a feed holds over every home of the log."""

from collections.abc import Iterator

import pytest

from tests.contract.homes import KEPT_HOMES, SERVERS, Home
from tests.feed.stage import Stage
from tests.harness.loop import LoopThread


@pytest.fixture(scope="package", autouse=True)
def _servers() -> Iterator[None]:
    yield
    SERVERS.close()


@pytest.fixture(params=[pytest.param(it, id=it.name, marks=it.marks) for it in KEPT_HOMES])
def home(request: pytest.FixtureRequest) -> Home:
    found = request.param
    assert isinstance(found, Home)
    return found


@pytest.fixture
def stage(loop: LoopThread, home: Home) -> Iterator[Stage]:
    stage = Stage(loop, home, window=10)
    yield stage
    stage.close()
