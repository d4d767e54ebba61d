"""The ceiling: a bare `grpc.aio` server that answers with prepared bytes and does nothing else.

It takes the same requests under the same names and answers with as many bytes as the gateway does
(no bytes become messages on either way), so that what differs is what the gateway adds.

Run as `python -m bench.echo_server Name=bytes ...`, the length of the answer to each RPC; prints
the port it listens on, and ends with its input.
"""

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import uvloop

from bench.calls import CALLS
from bench.processes import announce_port, until_input_ends

# Generic in their stubs only.
if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler


class EchoHandler(grpc.GenericRpcHandler):
    """Answers each path with bytes of a given length."""

    def __init__(self, lengths: dict[str, int]) -> None:
        self._handlers = {path: _handler(bytes(length)) for path, length in lengths.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        return self._handlers.get(handler_call_details.method)


def _handler(answer: bytes) -> Handler:
    async def behavior(_request: bytes, _context: object) -> bytes:
        return answer

    return grpc.unary_unary_rpc_method_handler(behavior)


async def _main(arguments: list[str]) -> None:
    lengths = {}
    for argument in arguments:
        name, _, length = argument.partition("=")
        lengths[CALLS[name].rpc_path] = int(length)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((EchoHandler(lengths),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    announce_port(port)
    await until_input_ends()
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1:]))
