"""Calls the upstream with the transport that the gateway uses, and nothing else of the gateway."""

from bench.callers.caller import WrongAnswerError
from bench.calls import API_KEY, UnaryCall
from gateway.upstream.transport import HttpRequest, Transport

# The one place that says which transport is the gateway's.
from gateway.upstream.transports.httpx_transport import HttpxTransport as GatewayTransport

# How long a call may take, in seconds.
_TIMEOUT_S = 10.0


class TransportCaller:
    """Sends the request that the gateway would send."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._transport: Transport = GatewayTransport()

    async def call(self, call: UnaryCall) -> None:
        headers = {
            "authorization": f"Bearer {API_KEY}",
            "accept": "application/json",
            "user-agent": "telnyx-grpc-gateway/0",
        }
        if call.http_body is not None:
            headers["content-type"] = "application/json"
        response = await self._transport.send(
            HttpRequest(call.http_method, self._base_url + call.http_path, headers, call.http_body),
            _TIMEOUT_S,
        )
        if response.status != 200 or response.body != call.answer:
            raise WrongAnswerError(call.name)

    async def close(self) -> None:
        await self._transport.close()
