"""Servers of behaviours, without a gateway around them."""

from collections.abc import Iterator

import pytest

from gateway.rpc.calls import Behavior
from tests.harness.loop import LoopThread
from tests.harness.served import Serve, Served


@pytest.fixture
def serve(loop: LoopThread) -> Iterator[Serve]:
    """Serves behaviours on a server of its own."""
    served: list[Served] = []

    def start(stream: bool = False, **behaviors: Behavior) -> Served:
        served.append(Served(loop, stream, **behaviors))
        return served[-1]

    yield start
    for one in served:
        one.close()
