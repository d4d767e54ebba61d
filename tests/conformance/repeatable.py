"""Random runs that are the same every time."""

import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings


def run_examples(name: str, examples: int, test: Callable[..., None], *strategies: Any) -> None:
    """Run a test with random values: those of a name never change, and differ from other names'."""
    decorators: list[Any] = [
        given(*strategies),
        settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
        seed(zlib.crc32(name.encode())),
    ]
    run: Any = test
    for decorate in decorators:
        run = decorate(run)
    run()
