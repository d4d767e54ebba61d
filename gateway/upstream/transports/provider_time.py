"""The provider's time, as it stands in the `date` header of its responses."""

from collections.abc import Callable, Mapping

from gateway.upstream.http_date import read_http_date
from gateway.upstream.transport import HttpRequest, HttpResponse, Transport

# Responses from here on may come from a proxy in front of a provider that is away.
_SERVER_ERROR = 500


class DatedTransport:
    """A transport that reports the time (seconds since 1970) of the provider's responses."""

    def __init__(self, transport: Transport, report: Callable[[float], None]) -> None:
        self._transport = transport
        self._report = report
        self._last = ""

    async def send(self, request: HttpRequest, timeout: float) -> HttpResponse:
        """See `Transport.send`."""
        response = await self._transport.send(request, timeout)
        text = response.headers.get("date", "")
        # The responses of one second say no more than the first of them.
        if text != self._last and response.status < _SERVER_ERROR:
            self._note(text, response.headers)
        return response

    def _note(self, text: str, headers: Mapping[str, str]) -> None:
        # One with an age comes from a cache, and was made when its date says.
        seconds = None if "age" in headers else read_http_date(text)
        if seconds is not None:
            self._last = text
            self._report(seconds)

    def end(self, request: HttpRequest) -> None:
        """See `Transport.end`."""
        self._transport.end(request)

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._transport.close()
