"""Methods that nobody serves: they are refused in words, and observed as all calls are."""

from typing import Any, NoReturn

import grpc
from grpc import StatusCode

from gateway.details import shortened
from gateway.server.call import OTHER, Call
from gateway.server.errors import GatewayError
from gateway.server.grpc.shell import MethodHandler, Shell

# How much of a name is repeated in the error, in bytes.
_NAME_BYTES = 200


class UnknownMethods(grpc.GenericRpcHandler):
    """Serves every method; to be registered behind all others.

    Without it gRPC would refuse such calls by itself, and nobody would see them.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler:
        """Return a handler that refuses."""
        name = shortened(handler_call_details.method, _NAME_BYTES)

        async def refuse(call: Call[Any]) -> NoReturn:
            raise GatewayError(
                StatusCode.UNIMPLEMENTED,
                "METHOD_NOT_FOUND",
                f"there is no method {name}: reflection lists those that this gateway has",
                refusal="METHOD_NOT_FOUND",
            )

        return self._shell.unary(OTHER, bytes, refuse)
