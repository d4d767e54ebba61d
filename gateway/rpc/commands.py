"""One handler for every command and query: what they do is in their bindings."""

from collections.abc import Callable, Iterable
from typing import Any

import grpc

from gateway.deadline import Deadline
from gateway.rpc.calls import Behavior, CallWrapper, Context, Handler
from gateway.rpc.upstream_statuses import gateway_error
from gateway.schema.rest import Safety
from gateway.upstream.bound import BoundOperation
from gateway.upstream.calls import UpstreamCall
from gateway.upstream.client import TelnyxClient
from gateway.upstream.failures.reports import cut_off

# The longest a caller is waited for, in seconds, whatever deadline it has: a request takes a minute
# at most, and no command is sent again later than that. Who says ten years has said nothing.
TIMEOUT_MAX_S = 300.0


class CommandHandler(grpc.GenericRpcHandler):
    """Serves the methods of the command services.

    `newest_cursor` gives the feed position for receipts; `passed` is told of each command that the
    provider accepted, by name and request; `default_timeout_s` is the deadline of
    calls that come without one, in seconds.
    """

    def __init__(
        self,
        operations: Iterable[BoundOperation],
        client: TelnyxClient,
        newest_cursor: Callable[[], str],
        passed: Callable[[str, Any], None],
        default_timeout_s: float,
        calls: CallWrapper,
    ) -> None:
        self._calls = calls
        self._client = client
        self._newest_cursor = newest_cursor
        self._passed = passed
        self._default_timeout_s = default_timeout_s
        self._timeout_max_s = max(default_timeout_s, TIMEOUT_MAX_S)
        self._handlers: dict[str, Handler] = {
            operation.binding.rpc_path: calls.unary(
                operation.binding.rpc_path,
                operation.binding.request_class.FromString,
                self._behavior(operation),
                operation.binding.response_class.SerializeToString,
            )
            for operation in operations
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Return the handler of a method, None if it is not one of these."""
        return self._handlers.get(handler_call_details.method)

    def _behavior(self, operation: BoundOperation) -> Behavior:
        async def behavior(request: Any, context: Context) -> Any:
            granted = context.time_remaining()
            if granted is not None:
                granted = min(granted, self._timeout_max_s)
            deadline = Deadline.before_callers(granted, default=self._default_timeout_s)
            # From before the command is sent: its effects come after that.
            cursor = self._newest_cursor()
            response: Any = await self._client.call(
                operation, request, deadline, begun=self._explain_cut_off
            )
            if operation.safety is not Safety.READ:
                response.receipt.cursor = cursor
                self._passed(operation.name, request)
            return response

        return behavior

    def _explain_cut_off(self, call: UpstreamCall) -> None:
        self._calls.explain_cut_off(lambda: gateway_error(cut_off(call)))
