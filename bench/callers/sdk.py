"""Calls with the provider's official SDK."""

from telnyx import AsyncTelnyx

from bench import calls
from bench.callers.caller import WrongAnswerError
from bench.calls import UnaryCall


class SdkCaller:
    """Uses one client of the SDK, as its documentation says to."""

    def __init__(self, base_url: str) -> None:
        self._client = AsyncTelnyx(api_key=calls.API_KEY, base_url=base_url)

    async def call(self, call: UnaryCall) -> None:
        if call is calls.JOIN:
            joined = await self._client.conferences.actions.join(
                calls.CONFERENCE_ID,
                call_control_id=calls.CALL_CONTROL_ID,
                command_id=calls.COMMAND_ID,
                client_state=calls.CLIENT_STATE,
                beep_enabled="on_enter",
                mute=True,
            )
            right = joined.data is not None and joined.data.result == "ok"
        else:
            found = await self._client.conferences.retrieve(calls.CONFERENCE_ID)
            right = found.data is not None and found.data.id == calls.CONFERENCE_ID
        if not right:
            raise WrongAnswerError(call.name)

    async def close(self) -> None:
        await self._client.close()
