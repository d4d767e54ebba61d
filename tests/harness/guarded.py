"""Gateways with a callers file that a test writes anew."""

import asyncio
from pathlib import Path
from typing import Any

import grpc

from conferencing.v1.event_service_pb2 import GetFeedInfoRequest, SubscribeRequest
from gateway.server.hooks.identity import Identity
from tests.harness.callers import bearer, put
from tests.harness.gateway import Failure, RunningGateway, failure_of
from tests.harness.loop import LoopThread


class Guarded:
    """`start` starts a gateway with these settings."""

    def __init__(self, loop: LoopThread, start: Any, path: Path, *entries: str, **env: str) -> None:
        self._loop = loop
        self.path = put(path, *entries)
        self.gateway: RunningGateway = start(GATEWAY_CALLERS=str(path), **env)

    @property
    def identity(self) -> Identity:
        identity = self.gateway.app.rules.identity
        assert identity is not None
        return identity

    def put(self, *entries: str) -> None:
        """Write the file and have it looked at, as happens every second anyway."""
        put(self.path, *entries)
        self.look(2)

    def look(self, times: int) -> None:
        callers = self.gateway.app.callers
        assert callers is not None
        for _ in range(times):
            self._loop.run(callers.look())

    def end_revoked(self) -> None:
        """Have open streams looked at, as happens twice a second anyway."""
        self._loop.call(self.identity.end_revoked)

    def why_not(self, token: str) -> str:
        """Why a caller may not call, empty if it may."""
        events = self.gateway.events
        try:
            events.GetFeedInfo(GetFeedInfoRequest(), metadata=bearer(token), timeout=20)
        except grpc.RpcError as error:
            return str(Failure(error).info.reason)
        return ""

    def may_call(self, *tokens: str) -> list[bool]:
        return [not self.why_not(it) for it in tokens]

    def subscribe(self, token: str) -> Any:
        """Open a stream; returns it when it is open."""
        stream = self.gateway.events.Subscribe(
            SubscribeRequest(), metadata=bearer(token), timeout=20
        )
        next(stream)
        return stream

    def wait_until_idle(self) -> None:
        calls = self.gateway.app.rules.in_flight
        self._loop.run(asyncio.wait_for(calls.wait_until_idle(), 20))


def end_of(stream: Any) -> Failure:
    """How a stream ends, which must be an error."""
    return failure_of(lambda timeout: stream)
