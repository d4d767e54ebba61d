"""The client: an RPC's request to the provider and its response, within a deadline."""

from collections.abc import Callable
from typing import Any, TypeVar

from gateway.aside import LARGE_BYTES
from gateway.bytebudget import ByteBudget
from gateway.deadline import Deadline
from gateway.schema.decoder import MismatchError
from gateway.upstream.calls import UpstreamCall
from gateway.upstream.ends import End, was_deleted_before
from gateway.upstream.envelope import NotAResponseError
from gateway.upstream.failures.reports import (
    not_a_response,
    refused,
    too_late,
    unanswered,
    unreadable,
)
from gateway.upstream.operation import Operation
from gateway.upstream.sending.attempt import AttemptResult
from gateway.upstream.sending.exchange import Exchange, Sending, TooLateError
from gateway.upstream.transport import HttpRequest

R = TypeVar("R")


def request_headers(api_key: str, user_agent: str) -> dict[str, str]:
    """Return the headers that every request to the provider has."""
    return {
        "authorization": f"Bearer {api_key}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": user_agent,
    }


class TelnyxClient:
    """Calls the provider's REST operations.

    `call` turns messages into requests and responses into messages; the exchange decides how often
    a request is sent, and the transport below it sends it. `budget` is what all
    buffers may hold together.
    """

    def __init__(
        self,
        sending: Sending,
        base_url: str,
        api_key: str,
        user_agent: str,
        budget: ByteBudget | None = None,
    ) -> None:
        self._sending = sending
        self._budget = budget or ByteBudget()
        self._base_url = base_url.rstrip("/")
        self._headers = request_headers(api_key, user_agent)
        self._body_headers = self._headers | {"content-type": "application/json"}

    async def call(
        self,
        operation: Operation[R],
        request: Any,
        deadline: Deadline,
        *,
        begun: Callable[[UpstreamCall], None] | None = None,
        request_id: str = "",
    ) -> R:
        """Send a request and return what the response says.

        `begun` is given the call before anything is sent; the call is kept up to date, also when it
        is cancelled. `request_id` is sent with the requests. Raises InvalidRequestError for a
        request that cannot be sent and UpstreamError for a call that fails.
        """
        rest = operation.prepare(request)
        call = UpstreamCall(operation, request, rest, request_id)
        if begun is not None:
            begun(call)
        body = await self._exchanged(call, deadline)
        try:
            if len(body) < LARGE_BYTES:
                return operation.finish(rest, body)
            self._budget.take(len(body))
            try:
                return await self._sending.aside.run(operation.finish, rest, body)
            finally:
                self._budget.give_back(len(body))
        except NotAResponseError as instead:
            raise not_a_response(call, instead) from None
        except MismatchError as mismatch:
            raise unreadable(call, str(mismatch)) from None
        except ValueError:
            raise unreadable(call, "it is not JSON") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._sending.transport.close()
        self._sending.aside.close()

    async def _exchanged(self, call: UpstreamCall, deadline: Deadline) -> bytes:
        """Return the body of a 2xx response. Raises UpstreamError."""
        rest = call.rest
        headers = self._headers if rest.body is None else self._body_headers
        if call.request_id:
            headers = {**headers, "x-request-id": call.request_id}
        request = HttpRequest(rest.method, self._base_url + rest.path, headers, rest.body)
        try:
            result = await Exchange(self._sending, call, request, deadline).run()
        except TooLateError as reason:
            raise too_late(call, str(reason)) from None
        return _body_of(call, result)


def _body_of(call: UpstreamCall, result: AttemptResult) -> bytes:
    response = result.response
    if response is None:
        assert result.error is not None
        raise unanswered(call, result.error)
    if result.end in (End.SUCCESS, End.ERROR_IN_SUCCESS):
        return response.body
    if was_deleted_before(call.rest.method, response.status, may_have_run=call.may_have_run):
        return b""
    raise refused(call, response)
