"""Refresh: what the provider says of a watched conference, asked for now and then."""

import asyncio
import logging
import math
from collections.abc import Callable, Hashable

from gateway.conference.fair_queue import Rank
from gateway.conference.reader import ConferenceRead, ConferenceReader, ConferenceRef, Priority

# How often the provider is asked while somebody watches, in seconds: nothing else tells of a mute
# or hold that did not pass through this gateway.
REFRESH_INTERVAL_S = 30.0

# What another watcher was told so recently, in seconds, need not be asked for again.
_RECENT_S = REFRESH_INTERVAL_S / 2

_log = logging.getLogger(__name__)


class Refresh:
    """Asks the provider beside a watch, which must not wait for the response.

    What has happened is asked about before anything else; asking now and then has to wait for all
    others, and is put off rather than done twice. `flow` is whom it asks for, and `ready` is called
    when there is a response to take.
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
        # From when on the provider has to be asked, None if there is no reason to, and how soon.
        self._wanted_since: float | None = None
        self._wanted = Rank.WHENEVER
        self._asking = Rank.WHENEVER
        # Participants whom the provider has been asked about: their events do not tell who joins
        # muted, and those who left again at once would be asked about for ever.
        self._asked: frozenset[str] = frozenset()
        self.due_at = now() + REFRESH_INTERVAL_S

    def want(self, since: float, rank: Rank = Rank.PROMPT) -> None:
        """Have the provider asked for what holds since a moment."""
        self._wanted_since = max(since, self._wanted_since or since)
        self._wanted = min(rank, self._wanted)

    def meet(self, strangers: frozenset[str], since: float) -> None:
        """Have the provider asked about participants of whom events told at a moment."""
        if strangers - self._asked:
            self._asked |= strangers
            self.want(since)

    def take(self) -> ConferenceRead | None:
        """Return the provider's response if one has come, and ask again if there is reason to."""
        found = None
        now = self._now()
        if self._task is not None and self._task.done():
            found, self._task = self._task.result(), None
            self.due_at = now + REFRESH_INTERVAL_S
        if now >= self.due_at:
            self.want(now - _RECENT_S, Rank.WHENEVER)
        if self._wanted_since is not None and self._may_ask():
            self.cancel()
            self._asking = self._wanted
            self._task = asyncio.create_task(self._read(self._wanted_since, self._wanted))
            self._task.add_done_callback(lambda task: self._ready())
            self._wanted_since, self._wanted = None, Rank.WHENEVER
            self.due_at = math.inf
        return found

    def _may_ask(self) -> bool:
        """Whether a question may begin, or may take the place of one that waits behind all others.

        What happens while one is under way may not be in its response: it is asked again after it.
        """
        return self._task is None or self._wanted < self._asking

    def cancel(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self, since: float, rank: Rank) -> ConferenceRead | None:
        try:
            return await self._reader.read(self._ref, since, Priority(self._flow, rank))
        except self._reader.failures as error:
            # The events go on; the provider is asked again at the next occasion.
            _log.debug("a watched conference could not be refreshed: %s", error)
            return None
