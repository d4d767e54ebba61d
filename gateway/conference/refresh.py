"""Refresh: what the provider says of a watched conference, read from time to time."""

import asyncio
import logging
import math
from collections.abc import Callable, Hashable

from gateway.conference.fair_queue import Rank
from gateway.conference.reader import ConferenceRead, ConferenceReader, ConferenceRef, Priority

# How often a watched conference is read from the provider, in seconds: nothing else shows a mute or
# hold that did not pass through a gateway on this log.
REFRESH_INTERVAL_S = 30.0

# What was read so recently for another watch, in seconds, need not be read again.
_RECENT_S = REFRESH_INTERVAL_S / 2

_log = logging.getLogger(__name__)


class Refresh:
    """Reads from the provider in the background of a watch, which must not wait for the response.

    Reads because something has happened go before all others; those from time to time wait for all
    others, and are put off rather than done twice. `flow` is whom it reads for, and `ready` is
    called when there is a response to take.
    """

    def __init__(
        self,
        reader: ConferenceReader,
        ref: ConferenceRef,
        flow: Hashable,
        ready: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        self._reader = reader
        self._ref = ref
        self._flow = flow
        self._ready = ready
        self._now = now
        self._task: asyncio.Task[ConferenceRead | None] | None = None
        # Since when the state is to be read, None if there is no reason to, and how soon.
        self._wanted_since: float | None = None
        self._wanted = Rank.WHENEVER
        self._reading = Rank.WHENEVER
        # Participants for whom the state has been read: their events do not say who joins muted,
        # and those who left again at once would have it read for ever.
        self._read_for: frozenset[str] = frozenset()
        self.due_at = now() + REFRESH_INTERVAL_S

    def want(self, since: float, rank: Rank = Rank.PROMPT) -> None:
        """Have the state read, as of a moment or later."""
        self._wanted_since = max(since, self._wanted_since or since)
        self._wanted = min(rank, self._wanted)

    def meet(self, strangers: frozenset[str], since: float) -> None:
        """Have the state read for participants whom events have shown first, at a moment."""
        if strangers - self._read_for:
            self._read_for |= strangers
            self.want(since)

    def take(self) -> ConferenceRead | None:
        """Return the provider's response if one has come, and read again if there is reason to."""
        found = None
        now = self._now()
        if self._task is not None and self._task.done():
            found, self._task = self._task.result(), None
            self.due_at = now + REFRESH_INTERVAL_S
        if now >= self.due_at:
            self.want(now - _RECENT_S, Rank.WHENEVER)
        if self._wanted_since is not None and self._may_read():
            self.cancel()
            self._reading = self._wanted
            self._task = asyncio.create_task(self._read(self._wanted_since, self._wanted))
            self._task.add_done_callback(lambda task: self._ready())
            self._wanted_since, self._wanted = None, Rank.WHENEVER
            self.due_at = math.inf
        return found

    def _may_read(self) -> bool:
        """Whether a read may begin, or may replace one that waits behind all others.

        What happens while a read is in flight may not be in its response: another follows it.
        """
        return self._task is None or self._wanted < self._reading

    def cancel(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self, since: float, rank: Rank) -> ConferenceRead | None:
        try:
            return await self._reader.read(self._ref, since, Priority(self._flow, rank))
        except self._reader.failures as error:
            # The events go on; the next occasion reads again.
            _log.debug("a watched conference could not be refreshed: %s", error)
            return None
