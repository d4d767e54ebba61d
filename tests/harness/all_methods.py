"""Every method of the API, served by handlers that only say who calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import time
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor

from gateway.bytebudget import ByteBudget
from gateway.callers.callers import Callers
from gateway.records.calls import CallEnded
from gateway.schema.access import compile_access
from gateway.schema.services import COMMAND_SERVICES, EVENT_SERVICE
from gateway.server.call import Call
from gateway.server.grpc.rules import Rules
from gateway.server.grpc.shell import MethodHandler
from gateway.server.hooks.identity import Identity
from tests.harness.gateway import Failure
from tests.harness.loop import LoopThread

SERVICES = (*COMMAND_SERVICES, EVENT_SERVICE)
METHODS = [it for service in SERVICES for it in service.methods]


class AllMethods(grpc.GenericRpcHandler):
    """Serves them to callers on a free port, in TLS if there are credentials.

    `lasting` are methods whose streams stay open. `now` is the clock by which tokens expire.
    """

    def __init__(
        self,
        loop: LoopThread,
        callers: Callers,
        credentials: grpc.ServerCredentials | None = None,
        lasting: Callable[[Call[bytes]], Any] | None = None,
        now: Callable[[], float] = time,
    ) -> None:
        self._loop = loop
        self.callers = callers
        self.ends: list[CallEnded] = []
        self.identity = Identity(callers, compile_access(SERVICES), now)
        self.rules = loop.call(
            lambda: Rules.of(self.ends.append, ByteBudget(), identity=self.identity)
        )
        shell = self.rules.shell
        self._handlers: dict[str, MethodHandler] = {}
        for method in METHODS:
            path = f"/{full_name(method)}"
            if method.server_streaming:
                self._handlers[path] = shell.stream(path, bytes, lasting or _write_name)
            else:
                self._handlers[path] = shell.unary(path, bytes, _name)
        self.server: grpc.aio.Server = loop.call(grpc.aio.server)
        self.server.add_generic_rpc_handlers((self,))
        if credentials is None:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        else:
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        loop.run(self.server.start())

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        return self._handlers.get(handler_call_details.method)

    @contextmanager
    def channel(self, credentials: grpc.ChannelCredentials | None = None) -> Iterator[grpc.Channel]:
        address = f"127.0.0.1:{self.port}"
        channel = (
            grpc.insecure_channel(address)
            if credentials is None
            else grpc.secure_channel(address, credentials)
        )
        with channel:
            yield channel

    def close(self) -> None:
        self._loop.run(self.server.stop(0))


async def _name(call: Call[bytes]) -> bytes:
    return call.caller.name.encode()


async def _write_name(call: Call[bytes]) -> None:
    await call.write(call.caller.name.encode())


def method_named(name: str) -> MethodDescriptor:
    (found,) = [it for it in METHODS if it.name == name]
    return found


def full_name(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


def called(channel: grpc.Channel, method: MethodDescriptor, metadata: Any = ()) -> str | Failure:
    """Who the server found to be calling, or how the call failed."""
    arity: Any = channel.unary_stream if method.server_streaming else channel.unary_unary
    call = arity(f"/{full_name(method)}")
    try:
        response = call(b"", timeout=20, metadata=metadata)
        (found,) = list(response) if method.server_streaming else [response]
    except grpc.RpcError as error:
        return Failure(error)
    return bytes(found).decode()


def outcome(channel: grpc.Channel, method: MethodDescriptor, metadata: Any = ()) -> Any:
    """Who the server found to be calling, or the code, reason and metadata of its refusal."""
    found = called(channel, method, metadata)
    if isinstance(found, str):
        return found
    return found.code.name, found.info.reason, dict(found.info.metadata)
