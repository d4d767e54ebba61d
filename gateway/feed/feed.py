"""The feed: everybody who follows the log, each at a position of their own.

Nobody has a queue. A subscriber asks for what comes after its position: from the window while it
keeps up, else from the log, in bounded batches. New entries wake only those whose keys they have.

So nothing need be read to know that nothing matched: what has come since a subscriber had looked
at everything, and has none of its keys, is passed by. Its position follows when somebody asks.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from weakref import WeakValueDictionary

from gateway.journal.cursor import Cursor
from gateway.feed.batch import Audience, Delivery, Lot, lot_of
from gateway.journal.entry import LogEntry, StoredFrame
from gateway.journal.filter import Filter, WakeKey, wake_keys_of
from gateway.journal.log import EventLog
from gateway.feed.rounds import Rounds
from gateway.feed.sleep import Sleep
from gateway.feed.start import Loss, Start, overtaken
from gateway.feed.window import Window
from gateway.schema.event_keys import EventKey

# Places whose events are kept at hand for the next who asks: more than subscribers in step have.
_SHARED_MAX = 1_000


class Feed:
    """Follows one log and serves any number of subscriptions from it."""

    def __init__(self, log: EventLog, window: Window | None = None) -> None:
        self._log = log
        self._window = window or Window(log.span.newest)
        # Most keys have one subscriber: a tuple takes a third of a set's memory.
        self._sleepers: dict[WakeKey, tuple[Subscription] | set[Subscription]] = {}
        self._subscriptions: set[Subscription] = set()
        # The newest event when the drain began; None until then.
        self._drain_after: int | None = None
        self._last_cursor = (-1, "")
        self._audiences: WeakValueDictionary[tuple[Filter, int], Audience] = WeakValueDictionary()
        # What subscribers at one place were given since the newest event came.
        self._shared: dict[tuple[int, Audience], Lot] = {}
        # What has come since the last round, and by what keys.
        self._arrivals: list[LogEntry] = []
        self._due: set[WakeKey] = set()
        # The newest event when the last round began: whoever has a key of it has been told so.
        self._rounded = self._window.newest
        self._rounds = Rounds(self._concerned)
        log.listen(self._arrived)

    @property
    def log(self) -> EventLog:
        """The log that is followed."""
        return self._log

    @property
    def keys(self) -> Sequence[EventKey]:
        """What events are found by; see `EventLog.keys`."""
        return self._log.keys

    @property
    def newest(self) -> int:
        """The number of the newest event."""
        self._take_in()
        return self._window.newest

    @property
    def subscribers(self) -> int:
        """How many subscriptions are open."""
        return len(self._subscriptions)

    @property
    def draining(self) -> bool:
        """Whether all subscriptions are being ended."""
        return self._drain_after is not None

    def lets_go(self, position: int) -> bool:
        """Tell whether a subscription at this position is to be ended now.

        One that follows live gets first what had come when the drain began.
        """
        after = self._drain_after
        return after is not None and (position >= after or position < self._window.start)

    def cursor(self, position: int | None = None) -> str:
        """Return the cursor of a position, by default of the newest event."""
        wanted = self.newest if position is None else position
        # Receipts and heartbeats ask for the same place again and again.
        if self._last_cursor[0] != wanted:
            self._last_cursor = (wanted, str(Cursor(self._log.epoch, wanted)))
        return self._last_cursor[1]

    def subscribe(self, wanted: Filter, start: Start, batch_max: int) -> "Subscription":
        """Open a subscription; use it as a context manager."""
        return Subscription(self, wanted, start, batch_max)

    def drain(self) -> None:
        """End all subscriptions: each is told so when it has what has come so far."""
        self._drain_after = self.newest
        for subscription in list(self._subscriptions):
            subscription.wake()

    def _audience(self, wanted: Filter, batch_max: int) -> Audience:
        """Return the one audience of all who want this."""
        place = (wanted, batch_max)
        found = self._audiences.get(place)
        if found is None:
            found = self._audiences[place] = Audience(wanted, batch_max)
        return found

    def _lot_after(self, position: int, audience: Audience) -> Lot:
        """Return what comes after a position in the window."""
        place = (position, audience)
        lot = self._shared.get(place)
        if lot is None:
            window, limit = self._window, audience.batch_max
            lot = lot_of(window.after(position, audience.wanted, limit), window.newest, limit)
            # Streams that come and go while no event comes must not add up.
            if lot.live.frames and len(self._shared) < _SHARED_MAX:
                self._shared[place] = lot
        return lot

    def _arrived(self, entries: Sequence[LogEntry]) -> None:
        self._arrivals += entries
        self._rounds.ask()

    def _take_in(self) -> None:
        """Let subscribers see what has arrived; those who sleep are woken in the next round."""
        if self._arrivals:
            arrivals, self._arrivals = self._arrivals, []
            self._shared.clear()
            self._window.extend(arrivals)
            for entry in arrivals:
                self._due.update(wake_keys_of(entry.keys))

    def _concerned(self) -> "list[Subscription]":
        """Begin a round: take in what has arrived, and return who waits for it."""
        self._take_in()
        due, self._due = self._due, set()
        # Each of them once, however many events and keys concern it; in the same order each time.
        concerned = list({it: None for key in due for it in self._sleepers.get(key, ())})
        for subscription in concerned:
            subscription._concern(self._rounded)
        self._rounded = self._window.newest
        return concerned

    def _passed_by(self, keys: Sequence[WakeKey]) -> int:
        """Return up to where nothing has come for one of these keys that no round has told."""
        return self._window.newest if self._due.isdisjoint(keys) else self._rounded

    def _add(self, subscription: "Subscription", keys: Sequence[WakeKey]) -> None:
        self._subscriptions.add(subscription)
        sleepers = self._sleepers
        for key in keys:
            found = sleepers.get(key)
            if found is None:
                sleepers[key] = (subscription,)
            elif isinstance(found, tuple):
                sleepers[key] = {*found, subscription}
            else:
                found.add(subscription)

    def _remove(self, subscription: "Subscription", keys: Sequence[WakeKey]) -> None:
        self._subscriptions.discard(subscription)
        for key in keys:
            found = self._sleepers.get(key, ())
            if isinstance(found, set) and len(found) > 1:
                found.discard(subscription)
            elif subscription in found:
                del self._sleepers[key]


class Subscription:
    """A position in the feed, and what comes after it.

    `live` turns true when everything that the log held at the opening has been delivered, and
    false again when the subscriber falls out of the window.
    """

    def __init__(self, feed: Feed, wanted: Filter, start: Start, batch_max: int) -> None:
        self._feed = feed
        self._audience = feed._audience(wanted, batch_max)
        self._loss = start.loss
        self._caught_up_at = feed.newest
        self._sleep = Sleep()
        self._interrupted = False
        self._caught_up = start.position >= feed.newest
        # Whether it had looked at all that had come, and no round since had anything for it.
        self._idle = False
        self.position = start.position

    @property
    def live(self) -> bool:
        """Whether it has caught up and is still in the window."""
        return self._caught_up and self.position >= self._feed._window.start

    def __enter__(self) -> "Subscription":
        self._feed._add(self, self._audience.keys)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._feed._remove(self, self._audience.keys)
        self._sleep.close()

    def wake(self) -> bool:
        """Tell it that something it may want has come; false if it is awake anyway."""
        return self._sleep.wake()

    def interrupt(self) -> None:
        """Have the current or next `next` return at once, with an empty delivery if need be."""
        self._interrupted = True
        self.wake()

    async def next(self, timeout: float) -> Delivery:
        """Return what comes next, or after `timeout` seconds an empty delivery.

        Raises LogUnavailableError.
        """
        if self._loss is not None:
            loss, self._loss = self._loss, None
            return self._delivery((), loss=loss)
        # Once: being woken for what does not match must not put off a heartbeat.
        ends_at = asyncio.get_running_loop().time() + timeout
        while True:
            delivery = await self._ready()
            if delivery is not None:
                return delivery
            if self._interrupted:
                self._interrupted = False
                return self._delivery(())
            if not await self._sleep.until(ends_at):
                # What waits for a round is here all the same: the cursor is to be the newest.
                self._feed._take_in()
                # Everything up to the newest event has been looked at and did not match.
                return await self._ready() or self._delivery(())

    def _concern(self, passed_by: int) -> None:
        """Take note of a round that has something for it, and nothing up to a position."""
        if self._idle:
            self._move(passed_by)
            self._idle = False

    async def _ready(self) -> Delivery | None:
        feed, window = self._feed, self._feed._window
        if self._idle:
            self._move(feed._passed_by(self._audience.keys))
        if feed.draining and feed.lets_go(self.position):
            return self._delivery((), draining=True)
        if self.position >= window.newest:
            self._idle = True
            return None
        if self.position < window.start:
            return await self._from_log()
        lot = feed._lot_after(self.position, self._audience)
        if not lot.live.frames:
            newly_live = not self.live
            self._move(lot.live.position)
            if feed.lets_go(self.position):
                return self._delivery((), draining=True)
            return self._delivery(()) if newly_live else None
        return self._given(lot)

    async def _from_log(self) -> Delivery:
        batch = await self._feed.log.read(
            self.position, self._audience.wanted, self._audience.batch_max
        )
        if batch.oldest - 1 > self.position:
            loss = overtaken(self.position, self._feed.log, batch.oldest)
            self._move(loss.position)
            return self._delivery((), loss=loss)
        # The reader may have seen a commit that the feed has not been told of yet; going past the
        # window's end would make positions go backwards.
        frames, through, newest = batch.frames, batch.through, self._feed.newest
        if through > newest:
            frames, through = [it for it in frames if it.sequence <= newest], newest
        return self._given(lot_of(frames, through, self._audience.batch_max))

    def _given(self, lot: Lot) -> Delivery:
        self._move(lot.live.position)
        if not lot.live.frames:
            return self._delivery(())
        return lot.live if self.live else lot.behind

    def _move(self, position: int) -> None:
        # Never back: it may stand ahead of the window, at a commit that the log's readers have seen
        # and the feed has yet to be told of.
        self.position = max(position, self.position)
        window = self._feed._window
        self._idle = self.position >= window.newest
        in_window = self.position >= window.start
        self._caught_up = in_window and (self._caught_up or self.position >= self._caught_up_at)

    def _delivery(
        self,
        frames: Sequence[StoredFrame],
        *,
        loss: Loss | None = None,
        draining: bool = False,
    ) -> Delivery:
        return Delivery(frames, self.position, self.live, loss, draining)
