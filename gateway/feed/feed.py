"""The feed: everybody who follows the log, each at a position of their own.

Nobody has a queue. A subscriber asks for what comes after its position: from the window while it
keeps up, else from the log, in bounded batches.
"""

from collections.abc import Callable, Mapping, Sequence
from time import time

from gateway.feed.dispatch import Dispatcher
from gateway.feed.errors import EventsLostError
from gateway.feed.standing import Standing, Standings
from gateway.feed.start import Loss, Start, after_cursor, since
from gateway.feed.subscription import Subscription
from gateway.feed.window import Window
from gateway.journal.cursor import Cursor, Cursors
from gateway.journal.errors import LogUnavailableError
from gateway.journal.filter import Filter
from gateway.journal.lag import Lag
from gateway.journal.ports import Ahead, Copying, EventLog, Index
from gateway.records.deliveries import RoundEnded
from gateway.records.observer import Observer
from gateway.schema.event_keys import EventKey


class Feed:
    """Follows one index and serves any number of subscriptions from it.

    `copying` tells how the index comes by its events, if it is a copy.
    """

    def __init__(
        self, index: Index, window: Window | None = None, copying: Copying | None = None
    ) -> None:
        self._index = index
        self._copying = copying
        self._ahead: Ahead | None = None
        self._dispatcher = Dispatcher(window or Window(index.span.newest), Cursors(index.epoch))
        self._standings = Standings()
        # Whether `drain` was called.
        self._drains = False
        index.listen(self._dispatcher.arrived)
        if copying is not None:
            copying.when_begun_anew(self._begin_anew)

    @classmethod
    async def of(cls, log: EventLog) -> "Feed":
        """Return the feed of a log. Raises LogUnavailableError."""
        start = None if log.ahead is None else log.ahead.place()
        epoch = log.index.epoch
        window = await Window.of(log.index) if start is None else Window(start)
        if log.index.epoch != epoch:
            window = Window(log.index.span.newest)
        feed = cls(log.index, window, log.copying)
        if log.ahead is not None and start is not None:
            feed._ahead = log.ahead
            log.ahead.begin(feed._dispatcher.arrived)
        return feed

    @property
    def index(self) -> Index:
        """The index that is followed."""
        return self._index

    @property
    def keys(self) -> Sequence[EventKey]:
        """What events are found by; see `Index.keys`."""
        return self._index.keys

    @property
    def newest(self) -> int:
        """The number of the newest event."""
        return self._dispatcher.newest

    @property
    def lag(self) -> Lag | None:
        """How far all that can be read here is behind the log, None if it is not."""
        return None if self._copying is None else self._copying.lag

    def lag_of(self, subscription: Subscription) -> Lag | None:
        """Return how far a subscription is behind the log because the index is; None if it is not.

        One that is in the window is not while that gets what comes at the log's end.
        """
        lag = self.lag
        is_told = self._ahead is not None and self._ahead.is_told and not subscription.is_behind
        return None if lag is None or is_told else lag

    @property
    def end(self) -> int:
        """The number of the newest event that the log is known to have, if not here yet."""
        lag = self.lag
        return (
            self.newest if lag is None else max(self.newest, self._index.span.newest + lag.behind)
        )

    @property
    def oldest(self) -> int:
        """The number of the oldest event, or of the next one if none is held."""
        return self._index.span.oldest

    @property
    def subscribers(self) -> int:
        """How many subscriptions are open."""
        return self._dispatcher.followers

    @property
    def standings(self) -> Mapping[str, Standing]:
        """How the subscriptions of each caller stand, by its name."""
        return self._standings.by_caller(self._dispatcher.everybody)

    def tell(self, observe: Observer[RoundEnded], wall: Callable[[], float] = time) -> None:
        """Tell `observe` of each delivery of new events from now on.

        `wall` gives the time in seconds since 1970.
        """
        self._dispatcher.tell(observe, wall)

    def cursor(self, position: int | None = None) -> str:
        """Return the cursor of a position, by default of the newest event."""
        return self.cursors.text(self.newest if position is None else position)

    @property
    def cursors(self) -> Cursors:
        """Those of the log as it is now: for positions that are found out before it begins anew."""
        return self._dispatcher.cursors

    def after_cursor(self, text: str) -> Start:
        """Return the start that a cursor stands for. Raises CursorFormatError."""
        return after_cursor(text, self._index)

    async def start_after(self, text: str, patience_s: float) -> Start:
        """Return the start that a cursor stands for, however new it is.

        One from another replica, or from a receipt of one, may be ahead of what can be read here:
        it is waited for, as long as `patience_s` seconds. While the index is being filled, the
        start is beyond it, and a subscription waits there. Raises CursorFormatError, and
        LogUnavailableError if it does not come.
        """
        cursor = Cursor.parse(text)
        is_ahead = cursor.epoch == self._index.epoch and cursor.sequence > self._index.span.newest
        if is_ahead and self._copying is not None:
            lag = self._copying.lag
            filling = lag is not None and lag.is_filling
            try:
                await self._copying.reach(cursor.sequence, 0.0 if filling else patience_s)
            except LogUnavailableError:
                # The log may have begun anew meanwhile: then the cursor is another log's.
                if cursor.epoch == self._index.epoch:
                    if filling and cursor.sequence <= self.end:
                        return Start(cursor.sequence)
                    raise
        return self.after_cursor(text)

    async def since(self, moment_us: int) -> Start:
        """Return the start before what was received at a moment or later.

        In microseconds since 1970. Raises LogUnavailableError.
        """
        start = await since(moment_us, self._index)
        lag = self.lag
        if lag is not None and lag.is_filling and start.position >= self._index.span.newest:
            raise lag.not_there_yet()
        return start

    def lost(self, loss: Loss) -> EventsLostError:
        """Return the error of whoever must not go on over a loss."""
        return EventsLostError(loss, self._index)

    def subscribe(
        self, wanted: Filter, visible: Filter, position: int, batch_max: int
    ) -> Subscription:
        """Open a subscription to what comes after a position; use it as a context manager."""
        opened = Subscription(self._dispatcher, self._index, wanted, visible, position, batch_max)
        if self._drains:
            opened.let_go()
        return opened

    def _begin_anew(self) -> None:
        self._dispatcher.begin_anew(self._index.span.newest, Cursors(self._index.epoch))

    def drain(self) -> None:
        """End all subscriptions, also those to come: each is told so when it has what has come."""
        self._drains = True
        for follower in list(self._dispatcher.everybody):
            follower.let_go()
