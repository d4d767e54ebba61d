"""Hand-written behaviours behind the call wrapper, on a real gRPC server."""

import asyncio
from typing import Any

import grpc

from gateway.rpc.calls import Behavior, CallEnded, CallWrapper, Handler
from tests.harness.loop import LoopThread


class Served(grpc.GenericRpcHandler):
    """Serves behaviours as `/s/NAME`, of bytes and bytes; `ends` are what the observer was told."""

    def __init__(self, loop: LoopThread, stream: bool = False, **behaviors: Behavior) -> None:
        self.ends: list[CallEnded] = []
        self._loop = loop
        self.calls = loop.call(lambda: CallWrapper(self.ends.append))
        register = (
            grpc.unary_stream_rpc_method_handler if stream else grpc.unary_unary_rpc_method_handler
        )
        self._handlers: dict[str, Handler] = {
            f"/s/{name}": register(self.calls.wrap(f"/s/{name}", bytes, behavior))
            for name, behavior in behaviors.items()
        }
        self.server: grpc.aio.Server = loop.call(grpc.aio.server)
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        loop.run(self.server.start())
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        return self._handlers.get(handler_call_details.method)

    def call(self, name: str, timeout: float | None = 20) -> Any:
        """Begin a unary call; returns its future."""
        method: Any = self.channel.unary_unary(f"/s/{name}")
        return method.future(b"", timeout=timeout)

    def stream(self, name: str, timeout: float | None = 20) -> Any:
        method: Any = self.channel.unary_stream(f"/s/{name}")
        return method(b"", timeout=timeout)

    def idle(self) -> None:
        """Return when no call is in flight."""
        self._loop.run(asyncio.wait_for(self.calls.wait_until_idle(), 20))

    def close(self) -> None:
        self.channel.close()
        self._loop.run(self.server.stop(0))
