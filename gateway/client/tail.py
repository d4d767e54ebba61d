"""What `tail` does with what a subscription brings."""

from collections.abc import AsyncIterator, Awaitable, Callable

from conferencing.v1.event_pb2 import Event
from conferencing.v1.event_service_pb2 import INDEX_STATE_UNSPECIFIED, Lag, SubscribeResponse
from gateway.client.progress import Progress
from gateway.client.tail_errors import gap_line, lag_line


class Tail:
    """Handles events one after the other, and knows how far that has come.

    `handle` gets each event, `tell` lines about gaps and lags, `save` the cursor of each response
    once it has been handled. `is_last` says of an event that nothing more is wanted.
    """

    def __init__(
        self,
        handle: Callable[[Event], Awaitable[None]],
        tell: Callable[[str], None],
        save: Callable[[str], None],
        progress: Progress,
        is_last: Callable[[Event], bool],
    ) -> None:
        self._handle = handle
        self._tell = tell
        self._save = save
        self._progress = progress
        self._is_last = is_last
        self.cursor = ""
        # How the gateway's index stood when that was told last.
        self._state = INDEX_STATE_UNSPECIFIED

    async def run(self, responses: AsyncIterator[SubscribeResponse]) -> None:
        """Handle everything; returns at the end, or after the last event that is wanted.

        However it ends, `save` has been given where it has come to.
        """
        saved = ""
        try:
            async for response in responses:
                if response.HasField("gap"):
                    self._progress.clear()
                    self._tell(gap_line(response.gap))
                self._tell_lag(response.lag)
                if response.events:
                    self._progress.clear()
                for event in response.events:
                    await self._handle(event)
                    self.cursor = event.cursor
                    if self._is_last(event):
                        return
                self.cursor = response.cursor
                if self.cursor != saved:
                    self._save(self.cursor)
                    saved = self.cursor
                self._progress.received(response)
        finally:
            self._progress.clear()
            if self.cursor != saved:
                self._save(self.cursor)

    def _tell_lag(self, lag: Lag) -> None:
        """Say once that the gateway is behind, and once that it is not any more."""
        if lag.state != self._state:
            self._state = lag.state
            self._progress.clear()
            self._tell(lag_line(lag) or "the gateway is up with the log again")


def is_end_of(conference_id: str, event: Event) -> bool:
    """Whether a conference has ended with this event."""
    return event.conference_id == conference_id and event.type == "conference.ended"
