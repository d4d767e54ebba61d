"""Calls over gRPC."""

from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from bench.calls import CALLS, UnaryCall

# How long a call may take, in seconds.
_TIMEOUT_S = 10.0

# Generic in their stubs only.
if TYPE_CHECKING:
    Method: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[Any, Any]
else:
    Method = grpc.aio.UnaryUnaryMultiCallable


class RpcCaller:
    """Uses one channel, and messages as they are on the wire."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._methods: dict[str, tuple[Method, bytes]] = {
            call.name: (
                self._channel.unary_unary(call.rpc_path),
                call.request.SerializeToString(),
            )
            for call in CALLS.values()
        }

    async def call(self, call: UnaryCall) -> None:
        method, request = self._methods[call.name]
        await method(request, timeout=_TIMEOUT_S)

    async def close(self) -> None:
        await self._channel.close()
