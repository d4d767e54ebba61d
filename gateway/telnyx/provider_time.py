"""The provider's time, as it stands in the `date` header of its responses."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from gateway.telnyx.transport import HttpRequest, HttpResponse, Transport

# Responses from here on may be those of a proxy that stands in for a provider that is away.
_SERVER_ERROR = 500


class DatedTransport:
    """A transport that tells the time (seconds since 1970) of each response of the provider."""

    def __init__(self, transport: Transport, told: Callable[[float], None]) -> None:
        self._transport = transport
        self._told = told

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """See `Transport.send`."""
        response = await self._transport.send(request, timeout)
        # One with an age comes from a cache, and was made when its date says.
        if response.status < _SERVER_ERROR and "age" not in response.headers:
            seconds = _seconds(response.headers.get("date", ""))
            if seconds is not None:
                self._told(seconds)
        return response

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._transport.close()


def _seconds(text: str) -> float | None:
    """Return the time that an HTTP date stands for (RFC 9110, 5.6.7), None if it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
