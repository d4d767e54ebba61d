"""The client: an RPC's request to the provider and its answer back, within a deadline."""

from typing import Any

from google.protobuf.message import Message
from grpc import StatusCode

from gateway.codec.decoder import MismatchError
from gateway.deadline import Deadline
from gateway.errors import GatewayError
from gateway.telnyx.binding import Binding, RestCall, Safety
from gateway.telnyx.failures import failure_of_answer, failure_of_transport, unreadable_answer
from gateway.telnyx.transport import (
    HttpRequest,
    HttpResponse,
    NotSentError,
    Transport,
    TransportError,
)

# With less time left than this (seconds) no request is sent: its answer could not be waited for.
SEND_MARGIN_S = 0.005


class TelnyxClient:
    """Calls the provider's REST operations.

    A call goes down a staircase, one concern to a step: `call` turns messages into requests and
    back, `_answered` turns failures into GatewayError, `_attempt` sends once within the deadline.
    """

    def __init__(self, transport: Transport, base_url: str, api_key: str, user_agent: str) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")
        headers = {
            "authorization": f"Bearer {api_key}",
            "accept": "application/json",
            "user-agent": user_agent,
        }
        self._headers = headers
        self._body_headers = headers | {"content-type": "application/json"}

    async def call(
        self, binding: Binding, request: Any, deadline: Deadline, cursor: str
    ) -> Message:
        """Send an RPC's request and return its response.

        `cursor` goes into the receipt of a command. Raises GatewayError.
        """
        call = binding.prepare(request)
        response = await self._answered(binding, request, call, deadline)
        try:
            return binding.finish(call, response.body, cursor)
        except MismatchError as mismatch:
            raise unreadable_answer(binding, call, str(mismatch)) from None
        except ValueError:
            raise unreadable_answer(binding, call, "it is not JSON") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def _answered(
        self, binding: Binding, request: Any, call: RestCall, deadline: Deadline
    ) -> HttpResponse:
        try:
            response = await self._attempt(call, deadline)
        except TransportError as error:
            if deadline.remaining() <= SEND_MARGIN_S:
                raise _too_late(binding, call, error) from None
            raise failure_of_transport(binding, call, error) from None
        if not 200 <= response.status < 300:
            raise failure_of_answer(binding, request, call, response)
        return response

    async def _attempt(self, call: RestCall, deadline: Deadline) -> HttpResponse:
        remaining = deadline.remaining()
        if remaining <= SEND_MARGIN_S:
            raise NotSentError("too little time was left to send it")
        return await self._transport.send(
            HttpRequest(
                call.method,
                self._base_url + call.path,
                self._headers if call.body is None else self._body_headers,
                call.body,
            ),
            remaining,
        )


def _too_late(binding: Binding, call: RestCall, error: TransportError) -> GatewayError:
    metadata = {"method": binding.name, "command_id": call.command_id}
    if isinstance(error, NotSentError):
        metadata["outcome"] = "not_sent"
    elif binding.safety is not Safety.READ:
        metadata["outcome"] = "unknown"
    return GatewayError(
        StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED",
        f"{binding.name}: {error}, within the call's deadline",
        metadata,
    )
