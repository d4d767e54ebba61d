"""The client: an RPC's request to the provider and its response, within a deadline."""

from collections.abc import Callable
from typing import Any, TypeVar

from gateway.aside import LARGE_BYTES
from gateway.bytebudget import ByteBudget
from gateway.deadline import Deadline
from gateway.schema.decoder import MismatchError
from gateway.upstream.failures.failures import (
    FailedCall,
    failure_of_answer,
    failure_of_transport,
    not_an_answer,
    too_late,
    unreadable_answer,
)
from gateway.upstream.operation import NotAnAnswerError, Operation
from gateway.upstream.sending.attempt import Attempt, History
from gateway.upstream.sending.exchange import Exchange, Sending, TooLateError
from gateway.upstream.transport import HttpRequest, HttpResponse

# The provider's word that what was to be deleted is not there.
_GONE = frozenset({404, 410})

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
        begun: Callable[[FailedCall], None] | None = None,
    ) -> R:
        """Send a request and return what the response says.

        `begun` is given the call before anything is sent; what it says is kept up to date, also
        when the call is cancelled. Raises GatewayError.
        """
        call = operation.prepare(request)
        state = FailedCall(operation, request, call, History())
        if begun is not None:
            begun(state)
        body = await self._exchanged(state, deadline)
        try:
            if len(body) < LARGE_BYTES:
                return operation.finish(call, body)
            self._budget.take(len(body))
            try:
                return await self._sending.aside.run(operation.finish, call, body)
            finally:
                self._budget.give_back(len(body))
        except NotAnAnswerError as instead:
            raise not_an_answer(state, instead) from None
        except MismatchError as mismatch:
            raise unreadable_answer(state, str(mismatch)) from None
        except ValueError:
            raise unreadable_answer(state, "it is not JSON") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._sending.transport.close()
        self._sending.aside.close()

    async def _exchanged(self, state: FailedCall, deadline: Deadline) -> bytes:
        """Return the body of a 2xx response. Raises GatewayError."""
        call = state.call
        request = HttpRequest(
            call.method,
            self._base_url + call.path,
            self._headers if call.body is None else self._body_headers,
            call.body,
        )
        exchange = Exchange(
            self._sending,
            state.operation.name,
            state.operation.safety,
            request,
            state.history,
            deadline,
            remembers=bool(call.command_id),
            check=state.operation.check,
        )
        try:
            attempt = await exchange.run()
        except TooLateError as reason:
            raise too_late(state, str(reason)) from None
        return self._body_of(state, attempt)

    def _body_of(self, state: FailedCall, attempt: Attempt) -> bytes:
        response = attempt.response
        if response is None:
            assert attempt.error is not None
            raise failure_of_transport(state, attempt.error)
        if attempt.succeeded:
            return response.body
        if self._was_deleted_before(state, response):
            return b""
        raise failure_of_answer(state, response)

    @staticmethod
    def _was_deleted_before(state: FailedCall, response: HttpResponse) -> bool:
        """Tell whether a deletion finds nothing because an earlier attempt had deleted it."""
        return (
            state.call.method == "DELETE"
            and response.status in _GONE
            and state.history.may_have_run
        )
