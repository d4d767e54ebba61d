"""The seam between a worker and what it calls with."""

from typing import Protocol

from bench.calls import UnaryCall


class Caller(Protocol):
    """Makes calls. Built in a running event loop."""

    async def call(self, call: UnaryCall) -> None:
        """Make one call. Raises any exception if it fails or the answer is not the right one."""

    async def close(self) -> None:
        """Close all connections."""


class WrongAnswerError(Exception):
    """An answer came that is not the right one."""
