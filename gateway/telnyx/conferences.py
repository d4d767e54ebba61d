"""Conferences and their participants, as the gateway itself asks for them."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from conferencing.v1.conference_service_pb2 import (
    DESCRIPTOR,
    GetConferenceRequest,
    GetConferenceResponse,
    ListParticipantsRequest,
    ListParticipantsResponse,
)
from gateway.deadline import Deadline
from gateway.errors import GatewayError
from gateway.telnyx.binding import Binding
from gateway.telnyx.client import TelnyxClient
from gateway.telnyx.failures import FailedCall


class RestConferences:
    """Asks for conferences by the operations that callers of the gateway have for it.

    `retried` is told how many requests a call took after its first one, whatever became of it.
    """

    failures: tuple[type[Exception], ...] = (GatewayError,)

    def __init__(self, client: TelnyxClient) -> None:
        self._client = client
        self._get = _binding_of(GetConferenceRequest)
        self._list = _binding_of(ListParticipantsRequest)

    async def conference(
        self, request: GetConferenceRequest, deadline: Deadline, retried: Callable[[int], None]
    ) -> GetConferenceResponse:
        """Return a conference. Raises GatewayError."""
        response = await self._call(self._get, request, deadline, retried)
        assert isinstance(response, GetConferenceResponse)
        return response

    async def participants(
        self, request: ListParticipantsRequest, deadline: Deadline, retried: Callable[[int], None]
    ) -> ListParticipantsResponse:
        """Return a page of a conference's participants. Raises GatewayError."""
        response = await self._call(self._list, request, deadline, retried)
        assert isinstance(response, ListParticipantsResponse)
        return response

    async def _call(
        self, binding: Binding, request: Any, deadline: Deadline, retried: Callable[[int], None]
    ) -> Message:
        calls: list[FailedCall] = []
        try:
            return await self._client.call(binding, request, deadline, "", begun=calls.append)
        finally:
            retried(sum(max(0, it.history.attempts - 1) for it in calls))


def _binding_of(request: type[Message]) -> Binding:
    """Return the binding of the RPC that takes such a request."""
    methods = (it for service in DESCRIPTOR.services_by_name.values() for it in service.methods)
    return Binding.compile(next(it for it in methods if it.input_type == request.DESCRIPTOR))
