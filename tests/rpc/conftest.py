"""Servers of handlers, without a gateway around them."""

from collections.abc import Iterator

import pytest

from gateway.server.grpc.shell import Handler
from tests.harness.loop import LoopThread
from tests.harness.served import Serve, Served


@pytest.fixture
def serve(loop: LoopThread) -> Iterator[Serve]:
    """Serves handlers on a server of its own."""
    served: list[Served] = []

    def start(stream: bool = False, **handlers: Handler) -> Served:
        served.append(Served(loop, stream, **handlers))
        return served[-1]

    yield start
    for one in served:
        one.close()
