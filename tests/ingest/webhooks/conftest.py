"""Fixtures that the tests of webhooks share."""

from collections.abc import Iterator

import pytest

from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread


@pytest.fixture(scope="module")
def running(loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    gateway = RunningGateway(loop, tmp_path_factory.mktemp("edge"), "http://127.0.0.1:9/v2")
    yield gateway
    gateway.close()
