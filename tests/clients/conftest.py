"""Two gateways for clients that have more than one."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.pair import QUEUE, Pair
from tests.conftest import StartGateway
from tests.harness.provider import RecordingProvider


@pytest.fixture
def pair(start_gateway: StartGateway, tmp_path: Path) -> Iterator[Pair]:
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
