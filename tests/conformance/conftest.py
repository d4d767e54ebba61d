"""Both sides of the comparison: the official SDK and the gateway, in front of one server."""

from collections.abc import Iterator

import pytest
import telnyx

from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.provider import RecordingProvider


@pytest.fixture(scope="session")
def open_wire() -> Iterator[RecordingProvider]:
    with RecordingProvider() as opened:
        yield opened


@pytest.fixture
def wire(open_wire: RecordingProvider) -> RecordingProvider:
    """A provider that keeps what it was sent."""
    open_wire.reset()
    return open_wire


@pytest.fixture(scope="session")
def conforming(
    loop: LoopThread, open_wire: RecordingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """The gateway, in front of the same server as the SDK."""
    running = RunningGateway(loop, tmp_path_factory.mktemp("conformance"), open_wire.base_url)
    yield running
    running.close()


@pytest.fixture(scope="session")
def sdk(open_wire: RecordingProvider) -> Iterator[telnyx.Telnyx]:
    """The official SDK, with the key that the gateway has."""
    with telnyx.Telnyx(
        api_key="KEY0123456789", base_url=open_wire.base_url, max_retries=0
    ) as client:
        yield client
