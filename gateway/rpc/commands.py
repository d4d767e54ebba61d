"""One handler for every command and query: what they do is in their bindings."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import Message

from gateway.deadline import Deadline
from gateway.rpc.call import Call
from gateway.rpc.shell import Handler, MethodHandler, Shell
from gateway.telnyx.binding import Binding
from gateway.telnyx.client import TelnyxClient
from gateway.telnyx.failures import FailedCall, cut_off
from gateway.telnyx.operation import Safety

# The longest a caller is waited for, in seconds, whatever deadline it has: a request takes a minute
# at most, and no command is sent again later than that. Who says ten years has said nothing.
TIMEOUT_MAX_S = 300.0


class CommandHandler(grpc.GenericRpcHandler):
    """Serves the methods of the command services.

    `newest_cursor` gives the feed position for receipts; `accepted` is given the request of each
    command that the provider accepted; `default_timeout_s` is the deadline of calls that come
    without one, in seconds.
    """

    def __init__(
        self,
        bindings: Iterable[Binding],
        client: TelnyxClient,
        newest_cursor: Callable[[], str],
        accepted: Callable[[Message], None],
        default_timeout_s: float,
        shell: Shell,
    ) -> None:
        self._client = client
        self._newest_cursor = newest_cursor
        self._accepted = accepted
        self._default_timeout_s = default_timeout_s
        self._timeout_max_s = max(default_timeout_s, TIMEOUT_MAX_S)
        self._handlers: dict[str, MethodHandler] = {
            binding.rpc_path: shell.unary(
                binding.rpc_path,
                binding.request_class.FromString,
                self._handler(binding),
                binding.response_class.SerializeToString,
            )
            for binding in bindings
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> MethodHandler | None:
        """Return the handler of a method, None if it is not one of these."""
        return self._handlers.get(handler_call_details.method)

    def _handler(self, binding: Binding) -> Handler:
        async def handler(call: Call[Any]) -> Any:
            request, granted = call.message, call.time_remaining()
            if granted is not None:
                granted = min(granted, self._timeout_max_s)
            deadline = Deadline.before_callers(granted, default=self._default_timeout_s)
            cursor = self._newest_cursor()
            response = await self._client.call(
                binding, request, deadline, cursor, begun=partial(_explain_cut_off, call)
            )
            if binding.safety is not Safety.READ:
                self._accepted(request)
            return response

        return handler


def _explain_cut_off(call: Call[Any], command: FailedCall) -> None:
    call.explain_cut_off = partial(cut_off, command)
