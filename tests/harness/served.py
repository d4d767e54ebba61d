"""Hand-written handlers within the shell, on a real gRPC server."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import grpc

from gateway.bytebudget import ByteBudget
from gateway.records.calls import CallEnded
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.shell import Handler, MethodHandler
from tests.harness.loop import LoopThread


class Served(grpc.GenericRpcHandler):
    """Serves handlers as `/s/NAME`, of bytes and bytes, and knows what the observer was told."""

    def __init__(self, loop: LoopThread, stream: bool = False, **handlers: Handler) -> None:
        self._ends: list[CallEnded] = []
        self._ended = threading.Condition()
        self._loop = loop
        self.budget = ByteBudget()
        self.rules = loop.call(lambda: Rules.of(self._observe, self.budget))
        shell = self.rules.shell
        register = shell.stream if stream else shell.unary
        self._handlers: dict[str, MethodHandler] = {
            f"/s/{name}": register(f"/s/{name}", bytes, handler)
            for name, handler in handlers.items()
        }
        self.server: grpc.aio.Server = loop.call(grpc.aio.server)
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        loop.run(self.server.start())
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        return self._handlers.get(handler_call_details.method)

    def call(self, name: str, timeout: float | None = 20) -> Any:
        """Begin a unary call; returns its future."""
        method: Any = self.channel.unary_unary(f"/s/{name}")
        return method.future(b"", timeout=timeout)

    def stream(self, name: str, timeout: float | None = 20) -> Any:
        method: Any = self.channel.unary_stream(f"/s/{name}")
        return method(b"", timeout=timeout)

    def _observe(self, end: CallEnded) -> None:
        with self._ended:
            self._ends.append(end)
            self._ended.notify_all()

    def ends(self, count: int) -> list[CallEnded]:
        """The ends of calls, in order, once there are so many."""
        with self._ended:
            assert self._ended.wait_for(lambda: len(self._ends) >= count, 20)
            return list(self._ends)

    def codes(self, count: int) -> list[grpc.StatusCode]:
        """How calls have ended, in order, once there are so many."""
        return [grpc.StatusCode[end.status] for end in self.ends(count)]

    def idle(self) -> None:
        """Return when no call is in flight."""
        self._loop.run(asyncio.wait_for(self.rules.in_flight.wait_until_idle(), 20))

    def close(self) -> None:
        self.channel.close()
        self._loop.run(self.server.stop(0))


# Makes a server of handlers by their names, `stream` if they write streams.
Serve = Callable[..., Served]
