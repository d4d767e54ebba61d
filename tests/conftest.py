"""Fixtures that every room's tests use."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from conferencing.v1.queue_service_pb2 import DeleteQueueRequest
from gateway.sandbox import SandboxServer, SandboxSettings
from tests.harness.gateway import RunningGateway
from tests.harness.loop import LoopThread
from tests.harness.pair import QUEUE, Pair
from tests.harness.provider import RecordingProvider

# Examples are the same in every run, and a slow machine is no failure.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

pytest_plugins = ("tests.harness.quick",)

# The checks of the contract are no test modules; a failed one should say what it has seen.
pytest.register_assert_rewrite("tests.contract")


@pytest.fixture(scope="session")
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[RecordingProvider]:
    with RecordingProvider() as server:
        yield server


@pytest.fixture
def provider(shared_provider: RecordingProvider) -> RecordingProvider:
    """A provider that answers what it is told to."""
    shared_provider.reset()
    return shared_provider


@pytest.fixture
def simulated() -> Iterator[SandboxServer]:
    """A simulated Telnyx whose time stands still."""
    with SandboxServer(SandboxSettings(manual_clock=True)) as server:
        yield server


StartGateway = Callable[..., RunningGateway]


@pytest.fixture
def start_gateway(loop: LoopThread, tmp_path: Path) -> Iterator[StartGateway]:
    """Starts gateways on one folder; they are stopped at the end."""
    running: list[RunningGateway] = []

    def start(base_url: str = "http://127.0.0.1:9/v2", **env: str) -> RunningGateway:
        running.append(RunningGateway(loop, tmp_path, base_url, **env))
        return running[-1]

    yield start
    for gateway in running:
        gateway.close()


@pytest.fixture(scope="session")
def shared_gateway(
    loop: LoopThread, shared_provider: RecordingProvider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    running = RunningGateway(loop, tmp_path_factory.mktemp("shared"), shared_provider.base_url)
    yield running
    running.close()


@pytest.fixture
def gateway(
    shared_gateway: RunningGateway, provider: RecordingProvider
) -> Iterator[RunningGateway]:
    """A gateway in front of `provider`, shared by tests that do not care for its feed."""
    yield shared_gateway
    # An answer of 200 ends whatever a test has made it think of its key.
    provider.reset()
    shared_gateway.queues.DeleteQueue(DeleteQueueRequest(queue_name="any"))


@pytest.fixture
def fresh(start_gateway: StartGateway, provider: RecordingProvider) -> RunningGateway:
    """A gateway in front of `provider` whose feed is empty."""
    return start_gateway(provider.base_url)


@pytest.fixture
def pair(start_gateway: StartGateway, tmp_path: Path) -> Iterator[Pair]:
    """Two gateways, each before a provider of its own."""
    with ExitStack() as stack:
        providers = [stack.enter_context(RecordingProvider()) for _ in range(2)]
        gateways = []
        for number, provider in enumerate(providers):
            provider.answer = QUEUE
            log = f"sqlite:///{tmp_path / str(number) / 'events.db'}"
            gateways.append(start_gateway(provider.base_url, GATEWAY_EVENT_LOG=log))
        pair = Pair(gateways, providers)
        stack.callback(pair.close)
        yield pair
