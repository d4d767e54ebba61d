"""A gateway with callers that have limits of their own, set without a file."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from gateway.callers.caller import Caller, Role
from gateway.callers.limits import Limits
from gateway.callers.roster import Entry, Roster
from gateway.callers.tokens import TokenDigest
from tests.harness.callers import bearer, with_token
from tests.harness.gateway import Failure
from tests.harness.guarded import Guarded
from tests.harness.loop import LoopThread


class Limited(Guarded):
    """Each caller is an admin, and its token is its name."""

    def __init__(self, loop: LoopThread, start: Any, path: Path, **limits: Limits) -> None:
        super().__init__(loop, start, path, *(with_token(it, "admin", it) for it in limits))
        self.limit(**limits)

    def limit(self, **limits: Limits) -> None:
        """Give callers these limits, as a new version of the file does."""
        callers = self.gateway.app.callers
        assert callers is not None
        entries = [
            Entry(replace(Caller(name, Role.ADMIN), limits=it), (TokenDigest.of(name),))
            for name, it in limits.items()
        ]
        self._loop.call(lambda: setattr(callers.callers, "roster", Roster(entries)))

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Return when it is so, looked at in the gateway's loop."""

        async def look() -> None:
            async with asyncio.timeout(20):
                # Nobody tells when it is so.
                while not is_so():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        self._loop.run(look())

    def call(self, method: Any, caller: str, request: Any) -> Failure | None:
        """Make a call; returns how it failed, None if it has not."""
        try:
            method(request, metadata=bearer(caller), timeout=20)
        except grpc.RpcError as error:
            return Failure(error)
        return None

    def open(self, method: Any, caller: str, request: Any) -> Any:
        """Open a stream; returns it once it is open, or how that failed."""
        stream = method(request, metadata=bearer(caller))
        try:
            next(stream)
        except grpc.RpcError as error:
            return Failure(error)
        return stream
