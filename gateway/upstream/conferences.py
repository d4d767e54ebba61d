"""Conferences and their participants, as the gateway itself reads them."""

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
from gateway.schema.invalid import InvalidRequestError
from gateway.upstream.bound import BoundOperation
from gateway.upstream.calls import UpstreamCall
from gateway.upstream.client import TelnyxClient
from gateway.upstream.errors import UpstreamError


class RestConferences:
    """Reads conferences by the operations that callers of the gateway have for it.

    `retried` is given how many retries a call took, whatever became of it.
    """

    failures: tuple[type[Exception], ...] = (InvalidRequestError, UpstreamError)

    def __init__(self, client: TelnyxClient) -> None:
        self._client = client
        self._get = _operation_of(GetConferenceRequest)
        self._list = _operation_of(ListParticipantsRequest)

    async def conference(
        self, request: GetConferenceRequest, deadline: Deadline, retried: Callable[[int], None]
    ) -> GetConferenceResponse:
        """Return a conference. Raises `failures`."""
        response = await self._call(self._get, request, deadline, retried)
        assert isinstance(response, GetConferenceResponse)
        return response

    async def participants(
        self, request: ListParticipantsRequest, deadline: Deadline, retried: Callable[[int], None]
    ) -> ListParticipantsResponse:
        """Return a page of a conference's participants. Raises `failures`."""
        response = await self._call(self._list, request, deadline, retried)
        assert isinstance(response, ListParticipantsResponse)
        return response

    async def _call(
        self,
        operation: BoundOperation,
        request: Any,
        deadline: Deadline,
        retried: Callable[[int], None],
    ) -> Message:
        calls: list[UpstreamCall] = []
        try:
            return await self._client.call(operation, request, deadline, begun=calls.append)
        finally:
            retried(sum(max(0, it.attempts - 1) for it in calls))


def _operation_of(request: type[Message]) -> BoundOperation:
    """Return the operation that takes such a request."""
    methods = (it for service in DESCRIPTOR.services_by_name.values() for it in service.methods)
    return BoundOperation.compile(next(it for it in methods if it.input_type == request.DESCRIPTOR))
