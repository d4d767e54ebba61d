"""The conferences that are watched: what all watches of them share."""

import math
import time
from collections import deque
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager

from google.protobuf.message import Message

from gateway.conference.commands import AcceptedCommand, AcceptedCommands
from gateway.conference.fair_queue import FairQueue, Rank
from gateway.conference.ports import ConferenceSource, EventSource, TimeSource
from gateway.conference.reader import ConferenceReader, ConferenceRef, Priority
from gateway.conference.refresh import Refresh
from gateway.conference.state import ConferencePicture
from gateway.conference.watch import Watch
from gateway.journal.filter import Filter

# How long a watch may wait for its first read, in seconds, if its caller is not less patient: as
# long as a call has by default. Who would wait longer is refused at once, and can go to another
# gateway.
FIRST_WAIT_MAX_S = 10.0

# Commands that a watch keeps until its caller has taken what came before; then the oldest go. What
# the provider says after the last of them shows what all have done, but for roles of supervisors.
_ACCEPTED_MAX = 1_000


class Conferences:
    """Opens watches. See `ConferenceReader` for `timeout_s` and `requests_per_s`."""

    def __init__(
        self,
        events: EventSource,
        source: ConferenceSource,
        timeout_s: float,
        requests_per_s: int,
        clock: TimeSource = time,
    ) -> None:
        self._events = events
        self._clock = clock
        self._reader = ConferenceReader(source, timeout_s, requests_per_s, clock.monotonic)
        self._commands = AcceptedCommands(clock.monotonic)

    @property
    def queue(self) -> FairQueue:
        """Where reads from the provider wait for their turn."""
        return self._reader.queue

    @property
    def waiting(self) -> Mapping[str, int]:
        """How many questions to the provider wait for their turn, by what they are for.

        `prompt` are those that a caller waits for, `periodic` those that refresh what is watched.
        """
        waiting = self.queue.waiting
        return {"prompt": waiting(Rank.PROMPT), "periodic": waiting(Rank.WHENEVER)}

    @property
    def refused(self) -> int:
        """How many watches were refused because their turn would have come too late."""
        return self.queue.refused

    def command_accepted(self, request: Message) -> None:
        """Take note of a command that the provider accepted, by its request."""
        self._commands.add(request)

    @asynccontextmanager
    async def watch(
        self,
        ref: ConferenceRef,
        visible: Filter,
        caller: Hashable,
        patience_s: float = math.inf,
    ) -> AsyncIterator[Watch]:
        """Open a watch, whose state is what the provider says now.

        Of its events it takes those that are within `visible`. Watches of the same `caller` wait
        for each other before others wait for them. Raises ConferenceError, what the events' stream
        raises, and the `failures` of the source.
        """
        accepted: deque[AcceptedCommand] = deque(maxlen=_ACCEPTED_MAX)
        now = self._clock.monotonic
        # The position and the commands first, the provider's state after them: what happens in
        # between is in both, and taking it in twice changes nothing.
        with self._events.following(ref.conference_id, visible) as events:

            def command_accepted(command: AcceptedCommand) -> None:
                accepted.append(command)
                events.interrupt()

            with self._commands.observing(ref.conference_id, command_accepted):
                patience_s = min(patience_s, FIRST_WAIT_MAX_S)
                first = Priority((caller, "first"), Rank.PROMPT, patience_s)
                found = await self._reader.read(ref, now(), first)
                picture = ConferencePicture(found.conference, list(found.participants))
                flow = (caller, "refresh")
                refresh = Refresh(self._reader, ref, flow, events.interrupt, now)
                try:
                    yield Watch(picture, events, accepted, refresh, self._clock)
                finally:
                    refresh.cancel()

    async def close(self) -> None:
        """Cancel all reads from the provider."""
        await self._reader.close()
