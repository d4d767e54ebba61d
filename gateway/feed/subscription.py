"""Subscriptions: a position in the feed, and what comes after it."""

import asyncio
from types import TracebackType

from gateway.feed.batch import batch_of
from gateway.feed.dispatch import Dispatcher
from gateway.feed.errors import EventsLostError
from gateway.feed.sleep import Sleep
from gateway.feed.start import begun_anew, overtaken
from gateway.journal.cursor import Cursors
from gateway.journal.errors import LogUnavailableError, OvertakenError
from gateway.journal.filter import Filter
from gateway.journal.ports import Index
from gateway.journal.reading import Batch


class Subscription:
    """A position in the feed, and what comes after it. Use it as a context manager.

    It is `live` when everything that the log held at the opening has been given out, and not when
    it falls out of the window. What is not within `visible` is not there for it. When the log
    begins anew all that it stands for is lost, and it goes on, if at all, in the other one.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        index: Index,
        wanted: Filter,
        visible: Filter,
        position: int,
        batch_max: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._window = dispatcher.window
        self._cursors = dispatcher.cursors
        self._index = index
        self._visible = visible
        self._audience = dispatcher.audience(wanted.within(visible), batch_max)
        self._caught_up_at = dispatcher.newest
        self._sleep = Sleep()
        self._interrupted = False
        self._caught_up = position >= dispatcher.newest
        # Whether it had looked at all that had come, and no round since had anything for it.
        self._idle = False
        # The newest event when it was let go; None until then.
        self._ends_at: int | None = None
        self._drained = False
        self._position = position
        # The name of who follows, for whoever has one.
        self.caller = ""
        # Whether it can do only with what is in the index: it wants more of events than the window
        # has.
        self.needs_index = False

    @property
    def position(self) -> int:
        """The number up to which all events have been looked at: resume after it."""
        return self._position

    @property
    def cursors(self) -> Cursors:
        """Those of its positions: other ones when it has gone on in another log."""
        return self._cursors

    @property
    def backlog(self) -> int:
        """How many events it has yet to look at, and nobody has told to have nothing for it."""
        position = self._position
        if self._idle and not self._is_of_another_log:
            position = max(position, self._dispatcher.passed_by(self._audience.keys))
        return max(0, self._window.newest - position)

    @property
    def live(self) -> bool:
        """Whether it has caught up and is still in the window."""
        return self._caught_up and not self.is_behind

    @property
    def is_behind(self) -> bool:
        """Whether `next` reads from the log: it waits for no event then that is there."""
        window = self._window
        return self._position < window.start or (
            self.needs_index and window.newest > self._index.span.newest
        )

    @property
    def drained(self) -> bool:
        """Whether it has been let go: nothing comes any more."""
        return self._drained

    def __enter__(self) -> "Subscription":
        self._dispatcher.add(self, self._audience.keys)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._dispatcher.remove(self, self._audience.keys)
        self._sleep.close()

    def wake(self) -> bool:
        """See `Follower.wake`."""
        return self._sleep.wake()

    def concern(self, passed_by: int) -> None:
        """See `Follower.concern`."""
        if self._idle and not self._is_of_another_log:
            self._move(passed_by)
            self._idle = False

    def grown(self) -> None:
        """See `Follower.grown`."""
        # Who needs the index is up with the window when the index is.
        if self.is_behind or self.needs_index:
            self.wake()

    def let_go(self) -> None:
        """End it: if it follows live, when it has been given what has come so far; else at once."""
        if self._ends_at is None:
            self._ends_at = self._dispatcher.newest
            self.wake()

    def interrupt(self) -> None:
        """Have the current or next `next` return at once, with an empty batch if need be."""
        self._interrupted = True
        self.wake()

    async def next(self, timeout: float) -> Batch:
        """Return what comes next; an empty batch when drained, or after `timeout` seconds.

        Raises LogUnavailableError, and EventsLostError, after which the next call goes on behind
        what was lost.
        """
        # Once: being woken for what does not match must not put off a heartbeat.
        ends_at = asyncio.get_running_loop().time() + timeout
        while True:
            batch = await self._ready()
            if batch is not None:
                return batch
            if self._interrupted:
                self._interrupted = False
                return self._nothing()
            if not await self._sleep.until(ends_at):
                # What waits for a round is here all the same: the cursor is to be the newest.
                self._dispatcher.take_in()
                # Everything up to the newest event has been looked at and did not match.
                return await self._ready() or self._nothing()

    async def _ready(self) -> Batch | None:
        if self._is_of_another_log:
            raise self._lost_all()
        dispatcher, window = self._dispatcher, self._window
        if self._idle:
            self._move(dispatcher.passed_by(self._audience.keys))
        if self._is_at_its_end:
            return self._last()
        if self._position >= window.newest:
            self._idle = True
            return None
        if self.is_behind:
            # Where the index is being filled, it may not have come here yet: `grown` tells.
            here = self._position < self._index.span.newest
            return await self._from_log() if here else None
        batch = dispatcher.batch_after(self._position, self._audience)
        if not batch.frames:
            newly_live = not self.live
            self._move(batch.through)
            if self._is_at_its_end:
                return self._last()
            return self._nothing() if newly_live else None
        return self._given(batch)

    async def _from_log(self) -> Batch:
        audience = self._audience
        try:
            read = await self._index.read(
                self._position, audience.wanted, audience.batch_max, self._visible
            )
        except OvertakenError as error:
            if self._is_of_another_log:
                raise self._lost_all() from None
            raise self._lost(error.oldest) from None
        except LogUnavailableError:
            if self._is_of_another_log:
                raise self._lost_all() from None
            raise
        if self._is_of_another_log:
            raise self._lost_all()
        # The reader may have seen a commit that the feed has not been told of yet; going past the
        # window's end would make positions go backwards.
        frames, through, newest = read.frames, read.through, self._dispatcher.newest
        if through > newest:
            frames, through = [it for it in frames if it.sequence <= newest], newest
        return self._given(batch_of(frames, through, audience.batch_max))

    def _lost(self, oldest: int) -> EventsLostError:
        loss = overtaken(self._position, self._index, oldest)
        self._move(loss.position)
        return EventsLostError(loss, self._index)

    @property
    def _is_of_another_log(self) -> bool:
        return self._window is not self._dispatcher.window

    def _lost_all(self) -> EventsLostError:
        """Take a position in the log that there is now; return the loss of the one before."""
        loss = begun_anew(self._cursors.text(self._position), self._index)
        self._window, self._cursors = self._dispatcher.window, self._dispatcher.cursors
        self._position, self._idle = loss.position, False
        self._caught_up_at = self._dispatcher.newest
        self._caught_up = self._position >= self._caught_up_at
        if self._ends_at is not None:
            self._ends_at = self._caught_up_at
        return EventsLostError(loss, self._index)

    def _given(self, batch: Batch) -> Batch:
        self._move(batch.through)
        return batch if batch.frames else self._nothing()

    def _nothing(self) -> Batch:
        return Batch((), self._position)

    @property
    def _is_at_its_end(self) -> bool:
        ends_at, position = self._ends_at, self._position
        return ends_at is not None and (position >= ends_at or position < self._window.start)

    def _last(self) -> Batch:
        self._drained = True
        return self._nothing()

    def _move(self, position: int) -> None:
        # Never back: it may stand ahead of the window, at a commit that the log's readers have seen
        # and the feed has yet to be told of.
        self._position = max(position, self._position)
        window = self._window
        self._idle = self._position >= window.newest
        in_window = self._position >= window.start
        self._caught_up = in_window and (self._caught_up or self._position >= self._caught_up_at)
