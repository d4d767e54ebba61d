"""Whose conferences are: the provider is asked, where nothing else says it."""

from conferencing.v1.common_pb2 import Region
from conferencing.v1.conference_service_pb2 import GetConferenceRequest
from gateway.deadline import Deadline
from gateway.upstream.client import TelnyxClient
from gateway.upstream.conferences import RestConferences
from gateway.upstream.errors import Reason, UpstreamError


class RestOwners:
    """Asks for a conference for the sake of its connection alone."""

    def __init__(self, client: TelnyxClient) -> None:
        self._conferences = RestConferences(client)

    async def connection_of(
        self, conference_id: str, region: int, deadline: Deadline
    ) -> str | None:
        """Return the id of a conference's connection, None if there is no such conference.

        Raises InvalidRequestError, and UpstreamError for any other failure.
        """
        where = Region.ValueType(region)
        request = GetConferenceRequest(conference_id=conference_id, region=where)
        try:
            found = await self._conferences.conference(request, deadline, _retried)
        except UpstreamError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise
        return found.conference.connection_id


def _retried(_count: int) -> None:
    """Nobody counts the retries of these."""
