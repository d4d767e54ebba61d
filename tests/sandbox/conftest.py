from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from gateway.sandbox import SandboxServer, SandboxSettings
from tests.sandbox.receiver import Receiver
from tests.sandbox.stage import Stage


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


@pytest.fixture
def open_stage(receiver: Receiver) -> Iterator[Callable[..., Stage]]:
    """Opens stages with settings of one's own; the clock is manual unless they say otherwise."""
    with ExitStack() as stack:

        def opened(**settings: Any) -> Stage:
            defaults: dict[str, Any] = {"webhook_url": receiver.url, "manual_clock": True}
            sandbox = SandboxServer(SandboxSettings(**(defaults | settings)))
            stage = Stage(stack.enter_context(sandbox), receiver)
            stack.callback(stage.http.close)
            return stage

        yield opened


@pytest.fixture
def stage(open_stage: Callable[..., Stage]) -> Stage:
    return open_stage()
