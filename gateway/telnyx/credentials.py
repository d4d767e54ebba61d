"""The watch on the API key: notices when the provider rejects it, and when it takes it again."""

import asyncio
from collections.abc import Awaitable, Callable

from google.protobuf.message import Message

from gateway.deadline import Deadline
from gateway.errors import GatewayError
from gateway.telnyx.binding import Binding
from gateway.telnyx.client import TelnyxClient

# How often to look, and to ask the provider while it rejects the key, in seconds.
INTERVAL_S = 1.0

# How long such a question may take, in seconds.
_QUESTION_S = 5.0


class CredentialWatch:
    """Tells whenever the provider's opinion of the API key changes.

    A gateway that is not ready gets no calls, so it would never learn that its key is good again:
    while the key is rejected, a harmless query asks.
    """

    def __init__(
        self,
        client: TelnyxClient,
        query: Binding,
        request: Message,
        on_change: Callable[[bool], Awaitable[None]],
    ) -> None:
        self._client = client
        self._query = query
        self._request = request
        self._on_change = on_change

    async def run(self) -> None:
        """Watch until cancelled."""
        rejected = False
        while True:
            await asyncio.sleep(INTERVAL_S)
            if rejected and self._client.credentials_rejected:
                await self._ask()
            if self._client.credentials_rejected != rejected:
                rejected = not rejected
                await self._on_change(rejected)

    async def _ask(self) -> None:
        try:
            await self._client.call(self._query, self._request, Deadline.after(_QUESTION_S), "")
        except GatewayError:
            return  # the client has noted what matters
