"""The console: follows the feed while somebody looks, and keeps the board and its viewers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import time

from google.protobuf.message import Message

from conferencing.v1.event_pb2 import Event
from gateway.console.board import Board, event_value
from gateway.console.encoding import Encoded, encoded
from gateway.console.viewers import Viewer, Viewers
from gateway.console.vitals import Vitals
from gateway.feed.errors import EventsLostError
from gateway.feed.feed import Feed
from gateway.feed.frames import event_of
from gateway.feed.subscription import Subscription
from gateway.journal.errors import LogUnavailableError
from gateway.journal.filter import EVERYTHING

# How far back the events are read that the board is made of, in seconds: a conference that has been
# silent for longer is not shown.
LOOKED_BACK_S = 24 * 3_600.0

# How long the feed is followed after the last viewer has left, in seconds: who reloads the page
# finds it as it was.
LINGER_S = 60.0

# How often viewers are told, in seconds: of what changes all the time, too. It is seen within a
# second of its webhook, and most of what it costs grows with this rate.
_ROUND_S = 0.25

_BATCH_MAX = 500
_PAUSE_S = 1.0

# The name of its stream in metrics.
_NAME = "console"

_log = logging.getLogger(__name__)


class Console:
    """What people look at. `look` is a context; `close` lets everybody go."""

    def __init__(
        self,
        feed: Feed,
        vitals: Vitals,
        now: Callable[[], float] = time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.vitals = vitals
        self._feed = feed
        self._now = now
        self._sleep = sleep
        self._viewers = Viewers()
        self._board = Board()
        self._task: asyncio.Task[None] | None = None
        self._is_live = False
        # Those that viewers have not been told of yet.
        self._events: list[Encoded] = []
        # When viewers were told last, by `now`.
        self._told_at = 0.0

    @property
    def is_live(self) -> bool:
        """Whether everything is on the board that has come so far."""
        return self._is_live

    @property
    def viewers(self) -> int:
        """How many look."""
        return len(self._viewers)

    @contextmanager
    def look(self) -> Iterator[Viewer]:
        """Add a viewer. Raises CrowdedError."""
        with self._viewers.looking(self._board) as viewer:
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._follow())
            yield viewer

    def command_accepted(self, request: Message) -> None:
        """Take note of a command that the provider accepted, by its request."""
        if self._task is not None and not self._task.done():
            self._board.command(request, round(self._now() * 1_000))
            self._tell()

    async def close(self) -> None:
        """Let everybody go, and follow no more."""
        self._viewers.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        """Follow the feed until nobody has looked for some time."""
        self._board.clear()
        self._events.clear()
        left_at: float | None = None
        try:
            start = await self._feed.since(round((self._now() - LOOKED_BACK_S) * 1e6))
        except LogUnavailableError as error:
            _log.warning("the console cannot read the log: %s", error)
            return
        with self._feed.subscribe(EVERYTHING, EVERYTHING, start.position, _BATCH_MAX) as following:
            following.caller = _NAME
            while not following.drained:
                await self._take_in(following)
                if self._viewers:
                    left_at = None
                elif left_at is None:
                    left_at = self._now()
                elif self._now() - left_at > LINGER_S:
                    break
        self._is_live = False

    async def _take_in(self, following: Subscription) -> None:
        try:
            batch = await following.next(_PAUSE_S)
        except EventsLostError:
            return  # goes on behind what retention has deleted
        except LogUnavailableError:
            await self._sleep(_PAUSE_S)
            return
        events = [Event.FromString(event_of(it.frame)) for it in batch.frames]
        for event in events:
            self._board.apply(event)
        self._board.forget(round(self._now() * 1_000))
        was_live, self._is_live = self._is_live, following.live
        # While it catches up there is nothing to read along, and what is told is soon another.
        if was_live:
            self._events += [encoded(event_value(event)) for event in events]
        # What has come in one round may be more than one batch.
        is_all = self._is_live and len(events) < _BATCH_MAX
        if is_all or self._now() - self._told_at >= _PAUSE_S:
            self._told_at = self._now()
            self._tell()
        if events:
            await self._sleep(_ROUND_S if is_all else 0)

    def _tell(self) -> None:
        changed = self._board.take_changes()
        events, self._events = self._events, []
        if changed or events:
            self._viewers.tell(changed, events)
