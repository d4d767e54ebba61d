"""One handler for every command and query: what they do is in their bindings."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from google.protobuf.message import Message

from gateway.deadline import Deadline
from gateway.feed.effects import Effects, Expected
from gateway.schema.invalid import InvalidRequestError
from gateway.schema.rest import Safety
from gateway.server.call import Call
from gateway.server.grpc.shell import Handler, MethodHandler, Methods, Shell
from gateway.server.services.bounds import Bounds
from gateway.server.upstream_statuses import gateway_error
from gateway.upstream.bound import BoundOperation
from gateway.upstream.calls import UpstreamCall
from gateway.upstream.client import TelnyxClient
from gateway.upstream.errors import UpstreamError
from gateway.upstream.failures.reports import cut_off

# The longest a caller is waited for, in seconds, whatever deadline it has: a request takes a minute
# at most, and no command is sent again later than that. Who says ten years has said nothing.
TIMEOUT_MAX_S = 300.0

# What errors say of a command that has run, or may have (`outcome` in their metadata).
_OUTCOMES_OF_RUNS = frozenset({"done", "unknown"})


class CommandHandler:
    """Serves the methods of the command services.

    `newest_cursor` gives the feed position for receipts; `accepted` is given the request of each
    command that the provider accepted; `default_timeout_s` is the deadline of calls that come
    without one, in seconds. `bounds` says what callers that are bound may ask for. `effects` waits
    for those of traced commands.
    """

    def __init__(
        self,
        operations: Iterable[BoundOperation],
        client: TelnyxClient,
        newest_cursor: Callable[[], str],
        accepted: Callable[[Message], None],
        default_timeout_s: float,
        shell: Shell,
        bounds: Bounds,
        effects: Effects | None = None,
    ) -> None:
        self._client = client
        self._bounds = bounds
        self._newest_cursor = newest_cursor
        self._accepted = accepted
        self._effects = effects
        self._default_timeout_s = default_timeout_s
        self._timeout_max_s = max(default_timeout_s, TIMEOUT_MAX_S)
        methods = defaultdict[str, dict[str, MethodHandler]](dict)
        for binding, operation in ((it.binding, it) for it in operations):
            service, _, name = binding.full_name.rpartition(".")
            methods[service][name] = shell.unary(
                binding.rpc_path,
                binding.request_class.FromString,
                self._handler(operation),
                binding.response_class.SerializeToString,
            )
        self.methods: Methods = methods

    def _handler(self, operation: BoundOperation) -> Handler:
        async def handler(call: Call[Any]) -> Any:
            request, granted = call.message, call.time_remaining()
            if granted is not None:
                granted = min(granted, self._timeout_max_s)
            deadline = Deadline.before_callers(granted, default=self._default_timeout_s)
            bound = call.caller.is_bound
            if bound:
                request = await self._bounds.admit(call, operation, deadline)
            # From before the command is sent: its effects come after that.
            cursor = self._newest_cursor()
            expected = self._expected(call, cursor)
            begun = partial(_asked, call)
            try:
                response: Any = await self._client.call(
                    operation,
                    request,
                    deadline,
                    begun=begun,
                    request_id=call.request_id,
                    span=call.span,
                )
            except (InvalidRequestError, UpstreamError) as error:
                if expected is not None and not _may_have_run(error):
                    expected.forget()
                raise
            if operation.safety is not Safety.READ:
                response.receipt.cursor = cursor
                self._accepted(request)
            if bound:
                self._bounds.trim(call, operation, response)
            return response

        return handler

    def _expected(self, call: Call[Any], cursor: str) -> Expected | None:
        """Wait for the effect of a command whose trace is recorded."""
        if self._effects is None or call.span is None or not call.span.is_recorded:
            return None
        return self._effects.expect(call.method, call.message, cursor, call.span)


def _asked(call: Call[Any], command: UpstreamCall) -> None:
    call.asked = command
    call.explain_cut_off = lambda: gateway_error(cut_off(command))


def _may_have_run(error: InvalidRequestError | UpstreamError) -> bool:
    if isinstance(error, InvalidRequestError):
        return False
    return error.metadata.get("outcome") in _OUTCOMES_OF_RUNS
