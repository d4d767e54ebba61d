"""Calls the upstream with the transport that the gateway uses, and nothing else of the gateway."""

from bench.callers.caller import WrongAnswerError
from bench.calls import API_KEY, UnaryCall
from gateway.bytebudget import ByteBudget
from gateway.config import Settings
from gateway.upstream.assembly import transport_of
from gateway.upstream.client import request_headers
from gateway.upstream.transport import HttpRequest

# How long a call may take, in seconds.
_TIMEOUT_S = 10.0


class TransportCaller:
    """Sends the request that the gateway would send.

    The transport is the one that the gateway's own composition makes of its default settings: a
    name of a class here would stay behind when the gateway takes another one.
    """

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._transport = transport_of(Settings(), ByteBudget())

    async def call(self, call: UnaryCall) -> None:
        headers = request_headers(API_KEY, "telnyx-grpc-gateway/0")
        if call.http_body is not None:
            headers["content-type"] = "application/json"
        # As long as those that the gateway makes.
        headers["x-request-id"] = "0" * 32
        response = await self._transport.send(
            HttpRequest(call.http_method, self._base_url + call.http_path, headers, call.http_body),
            _TIMEOUT_S,
        )
        if response.status != 200 or response.body != call.answer:
            raise WrongAnswerError(call.name)

    async def close(self) -> None:
        await self._transport.close()
