"""The gateways that the rows of the table are for; one is up at a time."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from tests.hostile.stage import Stage

HURRIED = "tests.hostile.hurried"

# With as few descriptors as many systems give, which makes room scarce.
_USUAL = partial(Stage, module=HURRIED, descriptors="1024")

STAGES: dict[str, Callable[..., Stage]] = {
    "internet": _USUAL,
    "mesh": _USUAL,
    "provider": partial(_USUAL, GATEWAY_BACKFILL="on", GATEWAY_BACKFILL_INTERVAL="1s"),
}


@pytest.fixture(scope="session")
def stage_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Stage]]:
    up: dict[str, Stage] = {}
    stack = ExitStack()

    def start(name: str) -> Stage:
        if name not in up:
            stack.close()
            up.clear()
            up[name] = stack.enter_context(STAGES[name](tmp_path_factory.mktemp(name)))
        return up[name]

    with stack:
        yield start
